//! Structural questions: centrality, choke points, cuts, paths, components and what else a graph
//! is by its links alone.
//!
//! A question is a body of its own file; [`Question`] names them all, so that every answer can be
//! kept, found again by its id and, after a restart, computed again to the same bytes. Answers
//! say that they are structural: one path is enough to count as supplied. What a loss does under
//! the production rules is asked of `impacts`.

pub mod attack;
pub mod centrality;
pub mod chains;
pub mod choke_points;
pub mod components;
pub mod cuts;
pub mod cycles;
pub mod measures;
pub mod paths;
pub mod reachability;
pub mod rows;
pub mod similar;
pub mod single_points;
pub mod views;

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Answer;
use super::impacts::{ENGINE, ModelCache, answer_id};
use super::jobs::Estimate;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::choke_points::ChokeError;
use crate::analysis::cuts::CutError;
use crate::analysis::structure::StructureError;
use crate::graph::Snapshot;
use crate::model::selector::Selector;

use rows::Rows;
use views::ViewCache;

/// What every structural answer says of itself.
pub const NOTE: &str = "purely structural: one path is enough to count as supplied, whatever a \
                        node needs to produce; ask impacts for losses under the production rules";

/// Whether the direction of flows counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// Flows lead from supplier to consumer.
    Directed,
    /// Two nodes are joined if either supplies the other.
    Undirected,
    /// Some parts of the answer are directed, others are not; each says so.
    Mixed,
}

/// A structural answer with its frame.
#[derive(Debug, Serialize, ToSchema)]
pub struct Structural<T> {
    /// Id: the same question on the same content has the same id and bytes.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// Always true: a matter of links, not of production.
    pub structural: bool,
    /// What that means.
    pub note: String,
    /// Whether the direction of flows counts.
    pub projection: Projection,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
    /// The answer itself.
    #[serde(flatten)]
    pub answer: T,
}

#[derive(Serialize)]
struct Empty {}

/// An answer before it is framed: its fields, and its long list if it has one.
pub struct Draft {
    projection: Projection,
    /// A JSON object.
    fields: Vec<u8>,
    list: Option<(&'static str, Rows)>,
}

impl Draft {
    /// An answer without a long list.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if it cannot be written as JSON.
    pub fn new(projection: Projection, answer: &impl Serialize) -> Result<Self, ServiceError> {
        let fields = serde_json::to_vec(answer).map_err(|_| ServiceError::Internal)?;
        Ok(Self { projection, fields, list: None })
    }

    /// Adds the long list.
    #[must_use]
    pub fn with(mut self, name: &'static str, rows: Rows) -> Self {
        self.list = Some((name, rows));
        self
    }
}

/// What an analysis may use.
pub struct Context<'a> {
    /// The snapshot that is asked.
    pub snapshot: &'a Arc<Snapshot>,
    /// Views of it.
    pub views: &'a ViewCache,
    /// Models of the impact engine, for losses beside the structure.
    pub models: &'a ModelCache,
    /// To report to and be stopped by.
    pub progress: &'a Progress,
}

/// A structural question.
pub trait Ask {
    /// Version asked of, if any.
    fn at(&mut self) -> &mut Option<u64>;
    /// Refuses what cannot be right before it becomes a job.
    ///
    /// # Errors
    /// A parameter out of its range, a selector without match.
    fn check(&self, snapshot: &Snapshot) -> Result<(), ServiceError>;
    /// What the answer will take, on `threads` threads.
    fn estimate(&self, snapshot: &Snapshot, threads: usize) -> Estimate;
    /// The answer.
    ///
    /// # Errors
    /// A question that has no answer on this graph; cancellation.
    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError>;
}

macro_rules! questions {
    ($($name:ident($body:ty) $key:literal $prefix:literal;)*) => {
        /// Every structural question.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(tag = "question", content = "body")]
        pub enum Question {
            $(#[doc = $key] #[serde(rename = $key)] $name(Box<$body>),)*
        }

        impl Question {
            /// Name of the question: the last part of its path.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $key,)* }
            }

            fn prefix(&self) -> &'static str {
                match self { $(Self::$name(_) => $prefix,)* }
            }

            fn ask(&self) -> &dyn Ask {
                match self { $(Self::$name(body) => &**body,)* }
            }

            /// The version asked of.
            pub fn at(&mut self) -> &mut Option<u64> {
                match self { $(Self::$name(body) => body.at(),)* }
            }
        }

        $(impl From<$body> for Question {
            fn from(body: $body) -> Self {
                Self::$name(Box::new(body))
            }
        })*
    };
}

questions! {
    Centrality(centrality::CentralityBody)       "centrality"    "cen";
    ChokePoints(choke_points::ChokePointsBody)   "choke-points"  "chk";
    Cuts(cuts::CutsBody)                         "cuts"          "cut";
    Separators(cuts::SeparatorsBody)             "separators"    "sep";
    CutTree(cuts::CutTreeBody)                   "cut-tree"      "ght";
    Reachability(reachability::ReachabilityBody) "reachability"  "rea";
    Paths(paths::PathsBody)                      "paths"         "pth";
    LongestChain(chains::LongestChainBody)       "longest-chain" "chn";
    Tiers(chains::TiersBody)                     "tiers"         "tie";
    Components(components::ComponentsBody)       "components"    "com";
    Communities(components::CommunitiesBody)     "communities"   "cmy";
    Cycles(cycles::CyclesBody)                   "cycles"        "cyc";
    Similar(similar::SimilarBody)                "similar"       "sim";
    AttackCurve(attack::AttackCurveBody)         "attack-curve"  "att";
}

/// A question ready to be answered.
#[derive(Clone)]
pub struct Asked {
    /// The snapshot that it is asked of.
    pub snapshot: Arc<Snapshot>,
    /// Id of its answer.
    pub id: String,
    question: Question,
}

impl Asked {
    /// A question about a snapshot.
    pub fn new(snapshot: Arc<Snapshot>, mut question: Question) -> Self {
        *question.at() = Some(snapshot.info().version);
        let id = answer_id(question.prefix(), &snapshot, &question);
        Self { snapshot, id, question }
    }

    /// Name of the question.
    pub fn name(&self) -> &'static str {
        self.question.name()
    }

    /// Refuses what cannot be right.
    ///
    /// # Errors
    /// A parameter out of its range, a selector without match.
    pub fn check(&self) -> Result<(), ServiceError> {
        self.question.ask().check(&self.snapshot)
    }

    /// What the answer will take.
    pub fn estimate(&self, threads: usize) -> Estimate {
        self.question.ask().estimate(&self.snapshot, threads)
    }
}

/// What is stored of an answer: enough to give the same bytes again.
#[derive(Serialize, Deserialize)]
struct Stored {
    graph: String,
    version: u64,
    structure: Question,
    elapsed_ms: f64,
}

impl Service {
    /// Answers a structural question: from the cache, else by computing it. Blocks.
    ///
    /// # Errors
    /// A question that has no answer on this graph; cancellation.
    pub fn structure(&self, asked: &Asked, progress: &Progress) -> Result<Answer, ServiceError> {
        if let Some(answer) = self.answers.get(&asked.id) {
            return Ok(answer);
        }
        let known = self.stored_structure(&asked.id)?.map(|stored| stored.elapsed_ms);
        let start = Instant::now();
        let context = Context {
            snapshot: &asked.snapshot,
            views: &self.views,
            models: &self.models,
            progress,
        };
        let draft = asked.question.ask().answer(&context)?;
        let took = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let info = asked.snapshot.info();
        let framed = Structural {
            id: asked.id.clone(),
            graph: info.graph.to_string(),
            version: info.version,
            engine: ENGINE.to_owned(),
            structural: true,
            note: NOTE.to_owned(),
            projection: draft.projection,
            elapsed_ms: known.unwrap_or(took),
            answer: Empty {},
        };
        let mut body = serde_json::to_vec(&framed).map_err(|_| ServiceError::Internal)?;
        let more = draft.list.as_ref().map_or(0, |(name, rows)| name.len() + rows.len() + 4);
        body.reserve_exact(draft.fields.len() + more);
        // What is JSON already is joined, so that long answers are copied once and never parsed.
        body.pop();
        body.push(b',');
        body.extend_from_slice(&draft.fields[1..]);
        if let Some((name, rows)) = draft.list {
            body.pop();
            body.extend_from_slice(format!(",\"{name}\":").as_bytes());
            rows.append(&mut body);
            body.push(b'}');
        }
        if known.is_none() {
            let stored = Stored {
                graph: framed.graph,
                version: framed.version,
                structure: asked.question.clone(),
                elapsed_ms: took,
            };
            let bytes = serde_json::to_vec(&stored).map_err(|_| ServiceError::Internal)?;
            self.permalinks.keep(&asked.id, bytes);
        }
        Ok(Answer {
            id: asked.id.as_str().into(),
            location: format!("/v1/structure/{}", asked.id),
            version: framed.version,
            body: body.into(),
        })
    }

    fn stored_structure(&self, id: &str) -> Result<Option<Stored>, ServiceError> {
        let stored = self.permalinks.get(id)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The question behind an answer's id. Blocks.
    ///
    /// # Errors
    /// An id that was never answered, or whose graph has changed since under the same version.
    pub fn structure_of(&self, id: &str) -> Result<Asked, ServiceError> {
        let absent = |hint: &str| ServiceError::Absent {
            what: "structural answer",
            name: id.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let stored = self
            .stored_structure(id)?
            .ok_or_else(|| absent("ask the question again, for example POST .../centrality"))?;
        let snapshot = self.catalogue.load(&stored.graph, Some(stored.version))?;
        let asked = Asked::new(snapshot, stored.structure);
        if asked.id != id {
            return Err(absent("its graph was replaced, or another engine answered it; ask again"));
        }
        Ok(asked)
    }
}

/// Well-formed but impossible, with what to do.
fn impossible(param: &str, problem: impl Into<String>, hint: &str) -> ServiceError {
    ServiceError::Impossible {
        param: Some(param.to_owned()),
        problem: problem.into(),
        hint: Some(hint.to_owned()),
    }
}

/// A number of the body that must lie in a range.
fn in_range(
    param: &str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<usize, ServiceError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = range.into_inner();
    Err(ServiceError::Impossible {
        param: Some(param.to_owned()),
        problem: format!("{param} is {value}; it must be {low} to {high}"),
        hint: None,
    })
}

/// Nodes that a selector of the body matches.
fn select(snapshot: &Snapshot, param: &str, selector: &Selector) -> Result<Vec<u32>, ServiceError> {
    snapshot.select(selector).map_err(|error| ServiceError::selector(param, error))
}

/// As [`select`], if there is a selector.
fn select_some(
    snapshot: &Snapshot,
    param: &str,
    selector: Option<&Selector>,
) -> Result<Option<Vec<u32>>, ServiceError> {
    selector.map(|selector| select(snapshot, param, selector)).transpose()
}

/// Ids of nodes.
fn ids(snapshot: &Snapshot, nodes: &[u32]) -> Vec<String> {
    nodes.iter().map(|&v| snapshot.id(v).to_owned()).collect()
}

/// An estimate from work units, in seconds of one thread, and bytes.
fn estimate(units: f64, seconds_per_unit: f64, bytes: usize) -> Estimate {
    Estimate { seconds: units * seconds_per_unit, bytes: bytes as u64 }
}

impl From<StructureError> for ServiceError {
    fn from(error: StructureError) -> Self {
        match error {
            StructureError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            StructureError::Parameter { name, .. } => {
                let param = match name {
                    "a length" | "a weight" => "weight",
                    name => name,
                };
                Self::Impossible {
                    param: Some(param.to_owned()),
                    problem: error.to_string(),
                    hint: None,
                }
            }
            StructureError::Weight(weight) => Self::Impossible {
                param: Some("weight".into()),
                problem: weight.to_string(),
                hint: Some("use none, quantity, distance or another attribute".into()),
            },
            StructureError::Undefined { problem, hint } => {
                Self::Impossible { param: None, problem, hint: Some(hint.to_owned()) }
            }
        }
    }
}

impl From<CutError> for ServiceError {
    fn from(error: CutError) -> Self {
        let param = match &error {
            CutError::Cancelled(cancelled) => return Self::Cancelled(*cancelled),
            CutError::Inconsistent { .. } => {
                tracing::error!(%error, "cuts");
                return Self::Internal;
            }
            CutError::NoTerminals | CutError::UnknownNode(_) | CutError::NoCut => None,
            CutError::MissingAttribute { .. }
            | CutError::NotANumber { .. }
            | CutError::Capacity { .. }
            | CutError::TooLarge(_) => Some("capacity".to_owned()),
        };
        Self::Impossible { param, problem: error.to_string(), hint: None }
    }
}

impl From<ChokeError> for ServiceError {
    fn from(error: ChokeError) -> Self {
        let param = match error {
            ChokeError::Cancelled(cancelled) => return Self::Cancelled(cancelled),
            ChokeError::NoSources => Some("from".to_owned()),
            ChokeError::NoTargets => Some("to".to_owned()),
            ChokeError::UnknownNode(_) => None,
        };
        Self::Impossible { param, problem: error.to_string(), hint: None }
    }
}
