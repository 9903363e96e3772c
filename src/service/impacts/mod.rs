//! Impact questions: what is lost when part of a graph is removed or squeezed.
//!
//! [`resolve`] turns what a user wrote into a scenario that stands alone, [`evaluate`] answers it
//! with the engine, [`answer`] is the shape of the answer, [`many`] holds batches and knock-outs.

pub mod answer;
pub mod attribution;
pub mod evaluate;
pub mod headline;
pub mod many;
pub mod on_day;
pub mod ranges;
pub mod resolve;
pub mod sensitivity;
pub mod timeline;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answers::Answer;
use super::catalogue::lock;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel};
use crate::graph::Snapshot;
use crate::model::scenario::{Include, ModelOptions, Response, ScenarioBody};

pub use answer::ImpactAnswer;

/// Name and version of the engine; part of every answer's id.
pub const ENGINE: &str = concat!("chokepoint-", env!("CARGO_PKG_VERSION"), "/local");

/// Models kept ready.
const MODELS: usize = 6;

/// Models of the last questions, so that a further scenario on the same graph and options starts
/// at once.
#[derive(Default)]
pub struct ModelCache {
    kept: Mutex<Vec<(String, Arc<ImpactModel>)>>,
}

impl ModelCache {
    /// Lets go of the models of older versions of a graph: they hold snapshots that the writer
    /// could use.
    pub fn retire(&self, graph: &str, newest: u64) {
        lock(&self.kept).retain(|(_, model)| {
            let info = model.snapshot().info();
            &*info.graph != graph || info.version >= newest
        });
    }

    /// The model of a snapshot under options and responses, made if it is not kept.
    ///
    /// # Errors
    /// As [`ImpactModel::new`].
    pub fn get(
        &self,
        snapshot: &Arc<Snapshot>,
        options: &ModelOptions,
        responses: &[Response],
    ) -> Result<Arc<ImpactModel>, ImpactError> {
        let key = serde_json::to_string(&(options, responses)).unwrap_or_default();
        let same = |k: &str, m: &ImpactModel| k == key && Arc::ptr_eq(m.snapshot(), snapshot);
        if let Some((_, model)) = lock(&self.kept).iter().find(|(k, m)| same(k, m)) {
            return Ok(model.clone());
        }
        let model = Arc::new(ImpactModel::new(snapshot.clone(), options, responses)?);
        let mut kept = lock(&self.kept);
        // Models of a large graph weigh as much as the graph: keep one of them.
        let most = if snapshot.flow_count() > 2_000_000 { 1 } else { MODELS };
        if kept.len() >= most {
            let surplus = kept.len() + 1 - most;
            kept.drain(..surplus);
        }
        kept.push((key, model.clone()));
        Ok(model)
    }
}

/// What is stored of an answer: enough to give the same bytes again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredQuestion {
    /// Graph.
    pub graph: String,
    /// Version that was answered.
    pub version: u64,
    /// The resolved scenario.
    pub body: ScenarioBody,
    /// How long the first answer took.
    pub elapsed_ms: f64,
}

/// A question ready to be answered.
#[derive(Debug, Clone)]
pub struct Question {
    /// The snapshot that it is asked of.
    pub snapshot: Arc<Snapshot>,
    /// The resolved scenario.
    pub body: ScenarioBody,
    /// Id of its answer.
    pub id: String,
}

/// Id of the answer to a resolved scenario on a snapshot: the same question on the same content
/// by the same engine has the same id.
pub fn answer_id(prefix: &str, snapshot: &Snapshot, question: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    hash.update(ENGINE);
    hash.update(snapshot.info().graph.as_bytes());
    hash.update(snapshot.info().version.to_le_bytes());
    hash.update(snapshot.fingerprint().to_le_bytes());
    hash.update(serde_json::to_vec(question).unwrap_or_default());
    let digest = hash.finalize();
    let hex: String = digest[..12].iter().map(|b| format!("{b:02x}")).collect();
    format!("{prefix}_{hex}")
}

impl Service {
    /// Resolves a scenario against a graph.
    ///
    /// # Errors
    /// An absent graph, version or stored name; a scenario that cannot be right.
    pub fn question(
        &self,
        snapshot: Arc<Snapshot>,
        body: ScenarioBody,
    ) -> Result<Question, ServiceError> {
        let body = self.resolve_scenario(&snapshot, body)?;
        let id = answer_id("imp", &snapshot, &body);
        Ok(Question { snapshot, body, id })
    }

    /// Answers a question: from the cache, else by evaluating it. Blocks.
    ///
    /// # Errors
    /// A scenario that the graph does not understand; cancellation.
    pub fn impact(&self, question: &Question, progress: &Progress) -> Result<Answer, ServiceError> {
        if let Some(answer) = self.answers.get(&question.id) {
            return Ok(answer);
        }
        if let Some(stored) = self.stored_question(&question.id)? {
            return self.evaluated(question, Some(stored.elapsed_ms), progress);
        }
        self.evaluated(question, None, progress)
    }

    fn evaluated(
        &self,
        question: &Question,
        elapsed_ms: Option<f64>,
        progress: &Progress,
    ) -> Result<Answer, ServiceError> {
        let start = Instant::now();
        let mut answer = evaluate::evaluate(&self.models, question, progress)?;
        let took = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        answer.elapsed_ms = elapsed_ms.unwrap_or(took);
        if elapsed_ms.is_none() {
            let stored = StoredQuestion {
                graph: answer.graph.clone(),
                version: answer.version,
                body: question.body.clone(),
                elapsed_ms: took,
            };
            let bytes = serde_json::to_vec(&stored).map_err(|_| ServiceError::Internal)?;
            self.permalinks.keep(&question.id, bytes);
        }
        let body = serde_json::to_vec(&answer).map_err(|_| ServiceError::Internal)?;
        let answer = Answer {
            id: question.id.as_str().into(),
            location: format!("/v1/impacts/{}", question.id),
            version: answer.version,
            body: body.into(),
        };
        self.answers.put(answer.clone());
        Ok(answer)
    }

    /// Graph that an answer speaks of, if it is known.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn graph_of_answer(&self, id: &str) -> Result<Option<String>, ServiceError> {
        #[derive(Deserialize)]
        struct Of {
            graph: String,
        }
        if let Some(bytes) = self.permalinks.get(id)?
            && let Ok(of) = serde_json::from_slice::<Of>(&bytes)
        {
            return Ok(Some(of.graph));
        }
        let kept = self.answers.get(id);
        Ok(kept.and_then(|a| serde_json::from_slice::<Of>(&a.body).ok()).map(|of| of.graph))
    }

    /// The question with further parts in its answer.
    ///
    /// # Errors
    /// A part that contradicts the question.
    pub fn question_with(
        &self,
        question: Question,
        parts: &[Include],
    ) -> Result<Question, ServiceError> {
        let Question { snapshot, mut body, .. } = question;
        body.include.extend_from_slice(parts);
        ranges::settle(&mut body)?;
        body.include.sort_unstable();
        body.include.dedup();
        let id = answer_id("imp", &snapshot, &body);
        Ok(Question { snapshot, body, id })
    }

    fn stored_question(&self, id: &str) -> Result<Option<StoredQuestion>, ServiceError> {
        let stored = self.permalinks.get(id)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The question behind an answer's id. Blocks.
    ///
    /// # Errors
    /// An id that was never answered, or whose graph has changed since under the same version.
    pub fn question_of(&self, id: &str) -> Result<Question, ServiceError> {
        let absent = |hint: &str| ServiceError::Absent {
            what: "impact",
            name: id.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let stored = self
            .stored_question(id)?
            .ok_or_else(|| absent("POST the scenario to /v1/graphs/{g}/impacts"))?;
        let snapshot = self.catalogue.load(&stored.graph, Some(stored.version))?;
        let known = answer_id("imp", &snapshot, &stored.body);
        if known != id {
            return Err(absent("its graph was replaced, or another engine answered it; ask again"));
        }
        Ok(Question { snapshot, body: stored.body, id: id.to_owned() })
    }
}
