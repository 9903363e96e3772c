//! A graph at a glance: what the explorer draws.

use actix_web::{HttpRequest, HttpResponse, get, web};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::Params;
use super::impacts::again;
use super::problem::{Code, Problem};
use super::reply::{Holds, versioned};
use super::run::Unanswered;
use crate::analysis::Progress;
use crate::graph::Snapshot;
use crate::model::scenario::Include;
use crate::report;
use crate::service::overview::{By, Hit, Overview, OverviewQuery, overview};

/// What to draw.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OverviewParams {
    /// What an element stands for: `product` (a stage of a product, all countries), `country` (a
    /// stage in a country, all products) or `node`. Default: nodes if they fit, else products,
    /// else countries.
    #[param(example = "product")]
    pub by: Option<By>,
    /// Only these stages; `|` between several.
    pub stage: Option<String>,
    /// Only these products; `|` between several.
    pub product: Option<String>,
    /// Only these countries; `|` between several.
    pub country: Option<String>,
    /// Not these stages; `|` between several.
    #[param(example = "other_uses")]
    pub without: Option<String>,
    /// Also the direct suppliers and customers of what was chosen.
    pub neighbours: Option<bool>,
    /// Most groups and bundles together (default 5000, most 20000).
    #[param(minimum = 1, maximum = 20000)]
    pub limit: Option<usize>,
    /// Colour by the losses of this answer. It decides the version.
    pub impact: Option<String>,
    /// Colour by the losses on this day of the answer's timeline.
    pub day: Option<f64>,
    /// Version of the graph (default: the newest).
    pub at: Option<u64>,
}

/// Losses of an answer's nodes, by index.
pub fn hits(snapshot: &Snapshot, answer: &report::Answer) -> FxHashMap<u32, Hit> {
    answer
        .nodes
        .iter()
        .flatten()
        .filter_map(|n| Some((snapshot.index(&n.id)?, Hit { loss: n.loss, direct: n.direct })))
        .collect()
}

/// Shows a graph at a glance: stages as columns, nodes grouped, flows bundled.
///
/// Shares are means over a group's nodes, each weighted by its share of the output of its product
/// and stage. With `impact`, each group has its mean loss; with `day` too, that
/// of this day.
#[utoipa::path(tag = "Explore",
    params(("g" = String, Path, description = "Name of the graph", example = "critical-minerals"),
           OverviewParams),
    responses((status = 200, description = "Groups and bundles", body = Overview),
              (status = 202, description = "A job: the answer in `impact` has to be made again and takes long")))]
#[get("/v1/graphs/{g}/overview")]
pub async fn get_overview(
    service: App,
    path: web::Path<String>,
    request: HttpRequest,
    query: Params<OverviewParams>,
) -> Result<HttpResponse, Unanswered> {
    let query = query.0;
    if let Some(day) = query.day
        && !(query.impact.is_some() && day.is_finite() && day >= 0.0)
    {
        return Err(Problem::new(
            Code::InvalidParameter,
            format!("day {day} is no day of an answer"),
        )
        .param("day")
        .hint("name the answer in `impact`; days count from 0")
        .into());
    }
    let list = |text: Option<String>| -> Vec<String> {
        let parts = text.iter().flat_map(|t| t.split('|')).filter(|t| !t.is_empty());
        parts.map(str::to_owned).collect()
    };
    let answer = match &query.impact {
        None => None,
        Some(id) => {
            let answer = again(&service, &request, id, &[Include::Nodes]).await?;
            let answer = report::Answer::read(&answer.body)?;
            let other = answer.graph != **path || query.at.is_some_and(|at| at != answer.version);
            if other {
                return Err(Problem::new(
                    Code::InvalidParameter,
                    format!("{id} speaks of another graph or version"),
                )
                .param("impact")
                .hint("ask for that graph, and leave `at` out")
                .into());
            }
            Some((id.clone(), answer))
        }
    };
    let at = answer.as_ref().map(|(_, answer)| answer.version).or(query.at);
    let snapshot = service.snapshot(&path, at).await?;
    let holds = Holds::at(at, snapshot.info().version);
    let asked = OverviewQuery {
        by: query.by,
        stages: list(query.stage),
        products: list(query.product),
        countries: list(query.country),
        without: list(query.without),
        neighbours: query.neighbours.unwrap_or(false),
        limit: query.limit,
    };
    let shared = service.clone();
    let work = move || {
        let Some((id, answer)) = answer else { return overview(&snapshot, &asked, None) };
        let mut hits = hits(&snapshot, &answer);
        if let Some(day) = query.day {
            let question = shared.question_of(&id)?;
            let losses = shared.losses_on_day(&question, day, &Progress::silent())?;
            for (v, loss) in (0..).zip(losses) {
                hits.entry(v).or_default().loss = loss;
            }
        }
        overview(&snapshot, &asked, Some((id, hits)))
    };
    Ok(versioned(&request, holds, &service.pool.run(work).await?)?)
}
