//! Lists: the query parameters that all of them take, and how a list is answered.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::App;
use super::csv;
use super::problem::Problem;
use super::reply::{Holds, ListFormat, json, list_format, versioned};
use crate::graph::Snapshot;
use crate::service::ServiceError;
use crate::service::filter::{Cursor, ListQuery};
use crate::service::objects::{objects, page};
use crate::service::rows::Table;

/// Lists longer than this are filtered and sorted on the pool.
const ON_POOL: usize = 20_000;

/// Which rows of a table.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RowsQuery {
    /// Most rows of a page (default 100, most 1000). CSV gives all rows unless a limit is stated.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before. It pages through the version that the first page saw.
    pub cursor: Option<String>,
    /// Key to sort by; `-` in front for descending.
    #[param(example = "-output")]
    pub sort: Option<String>,
    /// `key:value|value,key:!value`: `,` and, `|` or, `!` not, `*` any run of characters.
    #[param(example = "country:CHN|RUS,stage:refine")]
    pub filter: Option<String>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// Which rows of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ObjectsQuery {
    /// Most rows of a page (default 100, most 1000). CSV gives all rows unless a limit is stated.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Field to sort by; `-` in front for descending.
    pub sort: Option<String>,
    /// `field:value|value,field:!value`: `,` and, `|` or, `!` not.
    pub filter: Option<String>,
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AtQuery {
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

impl From<RowsQuery> for ListQuery {
    fn from(q: RowsQuery) -> Self {
        Self { limit: q.limit, cursor: q.cursor, sort: q.sort, filter: q.filter }
    }
}

impl From<ObjectsQuery> for ListQuery {
    fn from(q: ObjectsQuery) -> Self {
        Self { limit: q.limit, cursor: q.cursor, sort: q.sort, filter: q.filter }
    }
}

/// A page of a table of a graph, or all of it as CSV.
///
/// # Errors
/// An absent graph or version; a bad query.
pub async fn rows(
    service: &App,
    request: &HttpRequest,
    graph: &str,
    table: Table,
    query: RowsQuery,
) -> Result<HttpResponse, Problem> {
    let format = list_format(request)?;
    let at = query.at;
    let query = ListQuery::from(query);
    // A cursor stays with the version that the first page saw.
    let paged = match &query.cursor {
        Some(text) => Some(Cursor::decode(text, query.fingerprint(table.name()))?.version),
        None => at,
    };
    let snapshot = service.snapshot(graph, paged).await?;
    let holds = Holds::at(paged, snapshot.info().version);
    if format == ListFormat::Csv {
        let body = service.pool.run(move || Ok(csv_rows(&snapshot, table, &query))).await??;
        return Ok(csv::response(table.name(), Some(holds), body));
    }
    let whole_scan = query.filter.is_some() || query.sort.is_some();
    let page = if whole_scan && table.len(&snapshot) > ON_POOL {
        service.pool.run(move || table.page(&snapshot, &query)).await?
    } else {
        table.page(&snapshot, &query)?
    };
    versioned(request, holds, &page)
}

fn csv_rows(snapshot: &Arc<Snapshot>, table: Table, query: &ListQuery) -> Result<Vec<u8>, Problem> {
    let rows: Vec<Map<String, Value>> = if query.limit.is_some() {
        objects(&table.page(snapshot, query)?.results)?
    } else {
        let selected = table.select(snapshot, query)?;
        let records: Vec<_> =
            selected.into_iter().map(|row| table.record(snapshot, row as usize)).collect();
        objects(&records)?
    };
    csv::table(rows.iter())
}

/// A page of a list of plain objects, or all of it as CSV.
///
/// # Errors
/// A bad query.
pub fn plain<T: Serialize>(
    request: &HttpRequest,
    list: &str,
    rows: &[T],
    query: ObjectsQuery,
) -> Result<HttpResponse, Problem> {
    let format = list_format(request)?;
    let all = query.limit.is_none() && query.cursor.is_none();
    let mut query = ListQuery::from(query);
    let mut rows = objects(rows)?;
    if format == ListFormat::Json {
        return json(&page(list, rows, &query)?);
    }
    if all {
        // Pages of the largest size, one after the other.
        query.limit = Some(crate::service::filter::MAX_LIMIT);
        let (mut out, whole) = (Vec::new(), rows);
        loop {
            let next = page(list, whole.clone(), &query)?;
            out.extend(next.results);
            query.cursor = next.meta.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        rows = out;
    } else {
        rows = page(list, rows, &query)?.results;
    }
    Ok(csv::response(list, None, csv::table(rows.iter())?))
}

/// The answer if a row does not exist.
///
/// # Errors
/// Always: [`ServiceError::Absent`].
pub fn absent<T>(what: &'static str, name: &str, hint: Option<String>) -> Result<T, Problem> {
    Err(ServiceError::Absent { what, name: name.to_owned(), hint }.into())
}
