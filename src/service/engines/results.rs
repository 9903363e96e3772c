//! Results of engines: checked, kept in the exchange folder, and read page by page.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::manifest::{ExchangeError, Manifest};
use super::tables::{Column, read, rows_of};
use super::{AnalysisBody, EngineAnalysis, EngineName, PREFIX, RESULTS, Task};
use crate::analysis::impact::{Ending, Losses};
use crate::graph::Snapshot;
use crate::model::Symbol;
use crate::service::filter::{Cursor, ListQuery};
use crate::service::impacts::many::{BatchLine, summarise};
use crate::service::rows::{Meta, Page};
use crate::service::{Service, ServiceError};
use crate::store::DocumentKind;

/// An analysis that an engine ran.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnalysisAnswer {
    /// Id.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// Programs that made the result.
    pub versions: BTreeMap<String, String>,
    /// What was asked, with its defaults.
    #[schema(value_type = EngineAnalysis)]
    pub analysis: EngineAnalysis,
    /// Always null: nothing here is drawn at random.
    pub seed: Option<u64>,
    /// Number of rows.
    pub count: u64,
    /// What there is to say beside the rows: convergence, number of components.
    #[schema(value_type = Object)]
    pub summary: Map<String, Value>,
    /// Impacts: index, targets and convergence of each scenario, in the order asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<BatchLine>,
    /// SHA-256 of each file of the result.
    pub files: Vec<String>,
    /// Where the rows are.
    pub rows: String,
    /// Time from hand-over to checked result.
    pub elapsed_ms: f64,
}

/// What the store keeps of an analysis: whose it is.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    graph: String,
    version: u64,
    engine: EngineName,
}

/// A page of rows.
pub type ResultRows = Page<Map<String, Value>>;

fn integers<'a>(
    columns: &'a [(String, Column)],
    name: &str,
    file: &Path,
) -> Result<&'a [i64], ExchangeError> {
    match columns.iter().find(|(n, _)| n == name) {
        Some((_, Column::Integer(values))) => Ok(values),
        _ => Err(ExchangeError::mismatch(file, format!("there is no column {name} of INT64"))),
    }
}

fn numbers<'a>(
    columns: &'a [(String, Column)],
    name: &str,
    file: &Path,
) -> Result<&'a [f64], ExchangeError> {
    match columns.iter().find(|(n, _)| n == name) {
        Some((_, Column::Number(values))) => Ok(values),
        _ => Err(ExchangeError::mismatch(file, format!("there is no column {name} of DOUBLE"))),
    }
}

/// Losses of every scenario from the tables of a result.
fn losses(folder: &Path, manifest: &Manifest, task: &Task) -> Result<Vec<Losses>, ServiceError> {
    let n = task.snapshot.node_count();
    let nothing = Ending { sweeps: 0, residual: 0.0, converged: false, accelerated: false };
    let mut all: Vec<Losses> =
        task.shocks.iter().map(|_| Losses { nodes: Vec::new(), ending: nothing }).collect();
    let place = |scenario: i64, file: &Path| {
        let k = usize::try_from(scenario).ok().filter(|k| *k < task.shocks.len());
        k.ok_or_else(|| ExchangeError::mismatch(file, format!("there is no scenario {scenario}")))
    };
    for entry in manifest.files_of("endings") {
        let file = folder.join(&entry.path);
        let columns = read(&file)?;
        let (sweeps, converged) =
            (integers(&columns, "sweeps", &file)?, integers(&columns, "converged", &file)?);
        let residual = numbers(&columns, "residual", &file)?;
        for (row, &scenario) in integers(&columns, "scenario", &file)?.iter().enumerate() {
            all[place(scenario, &file)?].ending = Ending {
                sweeps: u32::try_from(sweeps[row]).unwrap_or(u32::MAX),
                residual: residual[row],
                converged: converged[row] != 0,
                accelerated: false,
            };
        }
    }
    for entry in manifest.files_of("rows") {
        let file = folder.join(&entry.path);
        let columns = read(&file)?;
        let nodes = integers(&columns, "node", &file)?;
        let down = numbers(&columns, "loss_downstream", &file)?;
        let up = numbers(&columns, "loss_upstream", &file)?;
        for (row, &scenario) in integers(&columns, "scenario", &file)?.iter().enumerate() {
            let node = u32::try_from(nodes[row]).ok().filter(|v| (*v as usize) < n);
            let range = 0.0..=1.0;
            let node = node.filter(|_| range.contains(&down[row]) && range.contains(&up[row]));
            let node = node.ok_or_else(|| {
                let problem = format!("row {row} is no loss of a node of this graph");
                ExchangeError::mismatch(&file, problem)
            })?;
            all[place(scenario, &file)?].nodes.push((node, down[row], up[row]));
        }
    }
    for losses in &mut all {
        losses.nodes.sort_unstable_by_key(|node| node.0);
    }
    Ok(all)
}

impl Service {
    /// Keeps a checked result and gives its address.
    ///
    /// # Errors
    /// A result of another question; a disk that is full.
    pub(super) fn keep_result(
        &self,
        task: &Task,
        body: &AnalysisBody,
        engine: &str,
        manifest: &Manifest,
        took: Duration,
    ) -> Result<String, ServiceError> {
        let info = task.snapshot.info();
        let folder = task.result();
        if (manifest.id.as_str(), manifest.graph.as_str(), manifest.version)
            != (task.id.as_str(), &*info.graph, info.version)
        {
            let problem = format!(
                "is the result of {} on {}@{}, not of {} on {}@{}",
                manifest.id, manifest.graph, manifest.version, task.id, info.graph, info.version
            );
            return Err(ExchangeError::mismatch(&folder, problem).into());
        }
        let count = manifest.counts.get("rows").copied().unwrap_or(0);
        let scenarios = match &body.analysis {
            EngineAnalysis::Impacts { scenarios, model, targets } => {
                let losses = losses(&folder, manifest, task)?;
                summarise(&self.models, &task.snapshot, scenarios, model, targets, &losses)?
            }
            EngineAnalysis::Pagerank { .. }
            | EngineAnalysis::Components { .. }
            | EngineAnalysis::Degree {}
            | EngineAnalysis::Strength {}
                if count != task.snapshot.node_count() as u64 =>
            {
                let problem = format!("has {count} rows for {} nodes", task.snapshot.node_count());
                return Err(ExchangeError::mismatch(&folder, problem).into());
            }
            _ => Vec::new(),
        };
        let location = format!("/v1/analyses/{}", task.id);
        let answer = AnalysisAnswer {
            id: task.id.clone(),
            graph: info.graph.to_string(),
            version: info.version,
            engine: engine.to_owned(),
            versions: manifest.versions.clone(),
            analysis: body.analysis.clone(),
            seed: None,
            count,
            summary: manifest.summary.clone(),
            scenarios,
            files: manifest.files.iter().map(|file| file.sha256.clone()).collect(),
            rows: format!("{location}/rows"),
            elapsed_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
        };
        let bytes = serde_json::to_vec(&answer).map_err(|_| ServiceError::Internal)?;
        let path = folder.join("answer.json");
        std::fs::write(&path, bytes).map_err(ExchangeError::io(&path))?;
        let place = self.engines.folder(RESULTS)?.join(&task.id);
        if place.exists() {
            // The same question, asked twice at a time: the first answer stays.
            return Ok(location);
        }
        std::fs::rename(&folder, &place).map_err(ExchangeError::io(&place))?;
        let kept =
            Kept { graph: info.graph.to_string(), version: info.version, engine: body.engine };
        let bytes = serde_json::to_vec(&kept).map_err(|_| ServiceError::Internal)?;
        self.store.put_document(DocumentKind::Answer, &task.id, &bytes)?;
        Ok(location)
    }

    fn result_folder(&self, id: &str) -> Result<std::path::PathBuf, ServiceError> {
        let absent = || ServiceError::Absent {
            what: "analysis",
            name: id.to_owned(),
            hint: Some("POST /v1/graphs/{g}/analyses runs one; its job gives the address".into()),
        };
        let plain = id.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_'));
        if !plain.is_some_and(|hash| hash.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(absent());
        }
        let folder = self.engines.folder(RESULTS)?.join(id);
        if folder.join("answer.json").is_file() { Ok(folder) } else { Err(absent()) }
    }

    /// The answer of an analysis, as JSON. Blocks.
    ///
    /// # Errors
    /// An analysis that was never run.
    pub fn analysis_answer(&self, id: &str) -> Result<Vec<u8>, ServiceError> {
        let path = self.result_folder(id)?.join("answer.json");
        Ok(std::fs::read(&path).map_err(ExchangeError::io(&path))?)
    }

    /// Forgets an analysis and its files. Blocks.
    ///
    /// # Errors
    /// An analysis that was never run.
    pub fn forget_analysis(&self, id: &str) -> Result<(), ServiceError> {
        let folder = self.result_folder(id)?;
        Ok(std::fs::remove_dir_all(&folder).map_err(ExchangeError::io(&folder))?)
    }

    /// A page of the rows of an analysis, with ids instead of numbers. Blocks.
    ///
    /// # Errors
    /// An analysis that was never run, or whose graph is gone; a bad limit or cursor.
    pub fn analysis_rows(&self, id: &str, query: &ListQuery) -> Result<ResultRows, ServiceError> {
        let folder = self.result_folder(id)?;
        let limit = query.page_limit()?;
        let fingerprint = query.fingerprint(id);
        let start = match &query.cursor {
            Some(text) => Cursor::decode(text, fingerprint)?.position,
            None => 0,
        };
        let kept = self.store.get_document(DocumentKind::Answer, id)?;
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let kept = kept.ok_or(ServiceError::Internal)?;
        let snapshot = self.catalogue.load(&kept.graph, Some(kept.version))?;
        let manifest = Manifest::read(&folder)?;
        let names: Vec<String> = serde_json::from_slice::<Value>(&self.analysis_answer(id)?)
            .ok()
            .and_then(|answer| {
                let scenarios = answer["scenarios"].as_array()?;
                Some(scenarios.iter().map(|s| s["id"].as_str().unwrap_or("").to_owned()).collect())
            })
            .unwrap_or_default();
        let count = manifest.counts.get("rows").copied().unwrap_or(0);
        let mut results = Vec::new();
        let mut first = 0;
        for entry in manifest.files_of("rows") {
            let file = folder.join(&entry.path);
            let rows = rows_of(&file)?;
            if start < first + rows && results.len() < limit {
                let columns = read(&file)?;
                let from = start.saturating_sub(first) as usize;
                for row in (from..rows as usize).take(limit - results.len()) {
                    results.push(object(&columns, row, &snapshot, &names));
                }
            }
            first += rows;
        }
        let next = start + results.len() as u64;
        let next_cursor = (next < count)
            .then(|| Cursor { version: kept.version, position: next }.encode(fingerprint));
        Ok(Page { meta: Meta { count: count as usize, next_cursor }, results })
    }
}

/// A row as users see it.
fn object(
    columns: &[(String, Column)],
    row: usize,
    snapshot: &Snapshot,
    scenarios: &[String],
) -> Map<String, Value> {
    let node = |v: i64| {
        let v = u32::try_from(v).ok().filter(|v| (*v as usize) < snapshot.node_count());
        v.map_or(Value::Null, |v| snapshot.id(v).into())
    };
    let name = |code: i64| {
        let code =
            u32::try_from(code).ok().filter(|c| (*c as usize) < snapshot.network().symbols.len());
        let name = code.and_then(|c| snapshot.network().symbols.option(Symbol(c)));
        name.map_or(Value::Null, Into::into)
    };
    let mut object = Map::new();
    for (column, values) in columns {
        let (key, value) = match (column.as_str(), values) {
            ("node", Column::Integer(v)) => ("id", node(v[row])),
            ("component", Column::Integer(v)) => ("component", node(v[row])),
            ("product" | "stage", Column::Integer(v)) => (column.as_str(), name(v[row])),
            ("scenario", Column::Integer(v)) => {
                let id = usize::try_from(v[row]).ok().and_then(|k| scenarios.get(k));
                ("scenario", id.map_or(Value::Null, |id| id.as_str().into()))
            }
            (key, Column::Integer(v)) => (key, v[row].into()),
            (key, Column::Number(v)) => (key, v[row].into()),
            (key, _) => (key, Value::Null),
        };
        object.insert(key.to_owned(), value);
    }
    if let (Some(down), Some(up)) = (
        object.get("loss_downstream").and_then(Value::as_f64),
        object.get("loss_upstream").and_then(Value::as_f64),
    ) {
        object.insert("loss".into(), down.max(up).into());
    }
    object
}
