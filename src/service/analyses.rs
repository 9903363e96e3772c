//! What every analysis of a snapshot shares: an id, a stored question, the same bytes again.

use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Answer;
use super::impacts::{ENGINE, answer_id};
use super::jobs::Estimate;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::graph::Snapshot;

/// An answer with its frame.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Framed<A> {
    /// Id: the same question on the same content has the same id and bytes.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Engine and its version.
    pub engine: String,
    /// The answer itself.
    #[serde(flatten)]
    pub answer: A,
    /// Where it can be read again.
    pub permalink: String,
    /// Time that the first evaluation took at the server.
    pub elapsed_ms: f64,
}

/// A question whose answer is a pure function of a snapshot and itself.
pub trait Analysis: Serialize + DeserializeOwned {
    /// Prefix of the ids of its answers.
    const PREFIX: &'static str;
    /// What its answers are called in messages, and its jobs.
    const NAME: &'static str;
    /// Its answer without the frame.
    type Answer: Serialize;

    /// Where an answer can be read again.
    fn location(&self, id: &str) -> String;

    /// What it will probably take on a snapshot (unless said otherwise: a pass over its flows).
    fn estimate(&self, snapshot: &Snapshot) -> Estimate {
        let flows = snapshot.flow_count();
        Estimate { seconds: flows as f64 / 5e6, bytes: flows as u64 * 64 }
    }

    /// Answers it. Blocks.
    ///
    /// # Errors
    /// What the graph does not understand; cancellation.
    fn answer(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<Self::Answer, ServiceError>;
}

/// What is stored of a question.
#[derive(Debug, Serialize, Deserialize)]
struct Asked<Q> {
    graph: String,
    version: u64,
    question: Q,
    elapsed_ms: f64,
}

impl Service {
    /// Id of the answer to a question on a snapshot.
    pub fn analysis_id<Q: Analysis>(snapshot: &Snapshot, question: &Q) -> String {
        answer_id(Q::PREFIX, snapshot, question)
    }

    /// Answers a question: from the cache, else by evaluating it. Blocks.
    ///
    /// # Errors
    /// As [`Analysis::answer`].
    pub fn analyse<Q: Analysis>(
        &self,
        snapshot: &Arc<Snapshot>,
        question: &Q,
        progress: &Progress,
    ) -> Result<Answer, ServiceError> {
        let id = Self::analysis_id(snapshot, question);
        if let Some(answer) = self.answers.get(&id) {
            return Ok(answer);
        }
        let before = self.asked::<Q>(&id)?.map(|asked| asked.elapsed_ms);
        let start = Instant::now();
        let answer = question.answer(self, snapshot, progress)?;
        let took = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let info = snapshot.info();
        let framed = Framed {
            id: id.clone(),
            graph: info.graph.to_string(),
            version: info.version,
            engine: ENGINE.to_owned(),
            answer,
            permalink: question.location(&id),
            elapsed_ms: before.unwrap_or(took),
        };
        if before.is_none() {
            let asked = Asked {
                graph: framed.graph.clone(),
                version: framed.version,
                question,
                elapsed_ms: took,
            };
            let bytes = serde_json::to_vec(&asked).map_err(|_| ServiceError::Internal)?;
            self.permalinks.keep(&id, bytes);
        }
        let answer = Answer {
            id: id.as_str().into(),
            location: framed.permalink.clone(),
            version: framed.version,
            body: serde_json::to_vec(&framed).map_err(|_| ServiceError::Internal)?.into(),
        };
        self.answers.put(answer.clone());
        Ok(answer)
    }

    fn asked<Q: Analysis>(&self, id: &str) -> Result<Option<Asked<Q>>, ServiceError> {
        let stored = self.permalinks.get(id)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The snapshot and question behind an answer's id. Blocks.
    ///
    /// # Errors
    /// An id that was never answered, or whose graph has changed since under the same version.
    pub fn analysis_of<Q: Analysis>(&self, id: &str) -> Result<(Arc<Snapshot>, Q), ServiceError> {
        let absent = |hint: &str| ServiceError::Absent {
            what: Q::NAME,
            name: id.to_owned(),
            hint: Some(hint.to_owned()),
        };
        if !id.starts_with(Q::PREFIX) {
            return Err(absent("ids of such answers start with another prefix"));
        }
        let asked = self.asked::<Q>(id)?.ok_or_else(|| absent("ask the question again"))?;
        let snapshot = self.catalogue.load(&asked.graph, Some(asked.version))?;
        if Self::analysis_id(&snapshot, &asked.question) != id {
            return Err(absent("its graph was replaced, or another engine answered it; ask again"));
        }
        Ok((snapshot, asked.question))
    }
}
