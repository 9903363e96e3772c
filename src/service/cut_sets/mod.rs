//! Questions about cuts: which few units together cost a target a share of its output, how likely
//! that is, the worst and the cheapest of them, and what to protect or build against it.
//!
//! [`ask`] holds the request bodies, [`units`] says what can be removed, [`ground`] resolves a
//! question against a snapshot, [`found`] finds the sets by the method that fits, [`answer`] and
//! [`explain`] say what they mean; [`extremes`] and [`protect`] answer the other questions,
//! [`tree`] writes a question as a fault tree.

pub mod answer;
pub mod ask;
pub mod explain;
pub mod extremes;
pub mod found;
pub mod ground;
pub mod protect;
pub mod tree;
pub mod units;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use self::answer::Frame;
use self::ask::{CutAsk, CutSetBody};
use self::explain::{Sentences, SetView};
use self::found::{Found, SetStream, Values};
use self::ground::{Ground, set_error, threshold};
use super::answers::Answer;
use super::catalogue::lock;
use super::filter::Cursor;
use super::impacts::{Question, answer_id};
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::graph::Snapshot;

/// Most sets in one answer or page.
pub const MOST_SETS: usize = 1_000_000;
/// Families kept ready for further pages.
const KEPT: usize = 8;
/// Memory that they may take together; what takes more is found again for each page.
const KEPT_BYTES: usize = 400 << 20;

/// A question about cuts, ready to be answered.
#[derive(Clone)]
pub struct CutQuestion {
    /// The snapshot that it is asked of.
    pub snapshot: Arc<Snapshot>,
    /// The question with defaults filled in.
    pub ask: Arc<CutAsk>,
    /// Id of its answer.
    pub id: String,
}

/// What is stored of an answer: enough to give the same bytes again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    graph: String,
    version: u64,
    cuts: CutAsk,
    elapsed_ms: f64,
}

/// A family with what it was asked for: kept for further pages.
pub struct Solved {
    /// The question.
    pub question: CutQuestion,
    /// What it stands on.
    pub ground: Ground,
    /// Costs and probabilities.
    pub values: Values,
    /// Where probabilities come from.
    pub basis: &'static str,
    /// The threshold.
    pub loss: f64,
    /// The sets.
    pub found: Found,
}

/// Families of the last questions.
#[derive(Default)]
pub struct CutSetCache {
    kept: Mutex<Vec<Arc<Solved>>>,
}

impl CutSetCache {
    fn get(&self, id: &str) -> Option<Arc<Solved>> {
        lock(&self.kept).iter().find(|solved| solved.question.id == id).cloned()
    }

    fn put(&self, solved: &Arc<Solved>) {
        let mut kept = lock(&self.kept);
        kept.retain(|other| other.question.id != solved.question.id);
        kept.push(solved.clone());
        let mut bytes: usize = kept.iter().map(|solved| solved.bytes()).sum();
        while kept.len() > KEPT || (bytes > KEPT_BYTES && !kept.is_empty()) {
            bytes -= kept.remove(0).bytes();
        }
    }
}

impl Solved {
    /// Memory that it takes, about.
    fn bytes(&self) -> usize {
        self.ground.bytes() + self.found.bytes()
    }

    fn body(&self) -> Result<&CutSetBody, ServiceError> {
        match &*self.question.ask {
            CutAsk::CutSets(body) => Ok(body),
            _ => Err(ServiceError::Internal),
        }
    }

    /// The sets from a position on, in the order asked for.
    ///
    /// # Errors
    /// A listing that does not fit the budget.
    pub fn stream(&self, skip: u64) -> Result<SetStream, ServiceError> {
        self.found
            .stream(self.body()?, &self.values, skip)
            .map_err(|e| set_error(e, Some(&self.ground.units)))
    }

    /// Views of listed sets, the first of which has this rank; chains for the first `explain`.
    ///
    /// # Errors
    /// Cancelled.
    pub fn views(
        &self,
        sets: &[Vec<u32>],
        rank: u64,
        explain: usize,
        progress: &Progress,
    ) -> Result<Vec<SetView>, ServiceError> {
        let losses = answer::losses(&self.ground, &self.found, sets, progress)?;
        let sentences = Sentences::new(&self.ground, self.question.ask.common());
        let mut views = Vec::with_capacity(sets.len());
        for (i, (set, loss)) in sets.iter().zip(losses).enumerate() {
            let rank = rank + i as u64;
            let mut view =
                answer::view(&sentences, &self.ground, &self.values, set, loss, rank, progress)?;
            view.link = Some(format!("/v1/cut-sets/{}/sets/{rank}/impact", self.question.id));
            if i < explain {
                sentences.explain(&mut view, set, progress)?;
            }
            views.push(view);
        }
        Ok(views)
    }

    /// Fingerprint that its cursors carry.
    fn fingerprint(&self) -> u64 {
        fingerprint(&self.question.id)
    }
}

fn fingerprint(id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id.as_bytes())
}

/// One page of the sets of an answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CutSetPage {
    /// Id of the answer.
    pub id: String,
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// Sets in the order asked for.
    pub cut_sets: Vec<SetView>,
    /// For the next page; null if there is none.
    pub next_cursor: Option<String>,
}

impl Service {
    /// Resolves a question about cuts.
    ///
    /// # Errors
    /// Limits and options that cannot be right.
    pub fn cut_question(
        &self,
        snapshot: Arc<Snapshot>,
        mut ask: CutAsk,
    ) -> Result<CutQuestion, ServiceError> {
        check(&ask)?;
        let (model, at) = ask.parts();
        if model.rationing.is_none() {
            model.rationing = Some(snapshot.info().settings.rationing.clone());
        }
        *at = Some(snapshot.info().version);
        let id = answer_id(ask.place().0, &snapshot, &ask);
        Ok(CutQuestion { snapshot, ask: Arc::new(ask), id })
    }

    /// Answers a question about cuts: from the cache, else by evaluating it. Blocks.
    ///
    /// # Errors
    /// A question that the graph does not understand; a budget too small; cancellation.
    pub fn cut_answer(
        &self,
        question: &CutQuestion,
        progress: &Progress,
    ) -> Result<Answer, ServiceError> {
        if let Some(answer) = self.answers.get(&question.id) {
            return Ok(answer);
        }
        let known = self.stored_cut(&question.id)?.map(|stored| stored.elapsed_ms);
        let start = Instant::now();
        let took = |start: Instant| {
            known.unwrap_or_else(|| (start.elapsed().as_secs_f64() * 1e6).round() / 1e3)
        };
        // An answer that a clock cut short is not the same next time: it has no permalink.
        let (body, elapsed_ms, timed_out) = match &*question.ask {
            CutAsk::CutSets(_) => {
                let solved = self.solve_cut(question, progress)?;
                let mut answer = self.cut_set_answer(&solved, progress)?;
                answer.elapsed_ms = took(start);
                let timed_out = out_of_time(answer.limit_hit.as_deref());
                (serde_json::to_vec(&answer), answer.elapsed_ms, timed_out)
            }
            CutAsk::WorstCase(body) => {
                let mut answer = extremes::worst(&self.models, question, body, progress)?;
                answer.elapsed_ms = took(start);
                let timed_out = out_of_time(answer.limit_hit.as_deref());
                (serde_json::to_vec(&answer), answer.elapsed_ms, timed_out)
            }
            CutAsk::CheapestCut(body) => {
                let mut answer = extremes::cheapest(&self.models, question, body, progress)?;
                answer.elapsed_ms = took(start);
                let timed_out = out_of_time(answer.limit_hit.as_deref());
                (serde_json::to_vec(&answer), answer.elapsed_ms, timed_out)
            }
            CutAsk::Protection(body) => {
                let mut answer = protect::protect(&self.models, question, body, progress)?;
                answer.elapsed_ms = took(start);
                (serde_json::to_vec(&answer), answer.elapsed_ms, body.limits.seconds.is_some())
            }
        };
        let body = body.map_err(|_| ServiceError::Internal)?;
        let version = question.snapshot.info().version;
        if known.is_none() && !timed_out {
            let stored = Stored {
                graph: question.snapshot.info().graph.to_string(),
                version,
                cuts: (*question.ask).clone(),
                elapsed_ms,
            };
            let bytes = serde_json::to_vec(&stored).map_err(|_| ServiceError::Internal)?;
            self.permalinks.keep(&question.id, bytes);
        }
        let answer = Answer {
            id: question.id.as_str().into(),
            location: format!("/v1/{}/{}", question.ask.place().1, question.id),
            version,
            body: body.into(),
        };
        self.answers.put(answer.clone());
        Ok(answer)
    }

    fn stored_cut(&self, id: &str) -> Result<Option<Stored>, ServiceError> {
        let stored = self.permalinks.get(id)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The question behind an answer's id. Blocks.
    ///
    /// # Errors
    /// An id that was never answered, or whose graph has changed since under the same version.
    pub fn cut_question_of(&self, collection: &str, id: &str) -> Result<CutQuestion, ServiceError> {
        if let Some(solved) = self.cut_sets.get(id) {
            return Ok(solved.question.clone());
        }
        let absent = |hint: &str| ServiceError::Absent {
            what: "answer",
            name: id.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let stored = self
            .stored_cut(id)?
            .filter(|stored| stored.cuts.place().1 == collection)
            .ok_or_else(|| absent("POST the question again"))?;
        let snapshot = self.catalogue.load(&stored.graph, Some(stored.version))?;
        if answer_id(stored.cuts.place().0, &snapshot, &stored.cuts) != id {
            return Err(absent("its graph was replaced, or another engine answered it; ask again"));
        }
        Ok(CutQuestion { snapshot, ask: Arc::new(stored.cuts), id: id.to_owned() })
    }

    /// The sets of a question: kept, else found again. Blocks.
    ///
    /// # Errors
    /// As [`Service::cut_answer`].
    pub fn solve_cut(
        &self,
        question: &CutQuestion,
        progress: &Progress,
    ) -> Result<Arc<Solved>, ServiceError> {
        if let Some(solved) = self.cut_sets.get(&question.id) {
            return Ok(solved);
        }
        let CutAsk::CutSets(body) = &*question.ask else {
            return Err(ServiceError::Absent {
                what: "family of cut sets",
                name: question.id.clone(),
                hint: Some("only answers of cut-sets have one".into()),
            });
        };
        let loss = threshold(body.loss_at_least)?;
        let mut ground =
            Ground::new(&self.models, question.snapshot.clone(), &question.ask.common())?;
        let mut warnings = Vec::new();
        let (values, basis) = answer::values(&ground, &ground.units, body, &mut warnings)?;
        if body.order == ask::SetOrder::Probability && values.probabilities.is_none() {
            return Err(ServiceError::Impossible {
                param: Some("order".into()),
                problem: "no probabilities are known to order by".into(),
                hint: Some("give probabilities or default_probability".into()),
            });
        }
        ground.warnings.append(&mut warnings);
        let found = found::find(&ground, body, loss, &values, progress)?;
        let solved =
            Arc::new(Solved { question: question.clone(), ground, values, basis, loss, found });
        self.cut_sets.put(&solved);
        Ok(solved)
    }

    fn cut_set_answer(
        &self,
        solved: &Solved,
        progress: &Progress,
    ) -> Result<answer::CutSetAnswer, ServiceError> {
        let of = solved.fingerprint();
        let version = solved.question.snapshot.info().version;
        let cursor = |position| Cursor { version, position }.encode(of);
        let frame = Frame {
            id: &solved.question.id,
            body: solved.body()?,
            common: solved.question.ask.common(),
            basis: solved.basis,
            cursor: &cursor,
        };
        answer::answer(&frame, &solved.ground, solved.loss, &solved.values, &solved.found, progress)
    }

    /// Position that a cursor of an answer stands for.
    ///
    /// # Errors
    /// A cursor of another answer.
    pub fn cut_position(&self, id: &str, cursor: Option<&str>) -> Result<u64, ServiceError> {
        cursor.map_or(Ok(0), |text| Cursor::decode(text, fingerprint(id)).map(|c| c.position))
    }

    /// One page of the sets of an answer. Blocks.
    ///
    /// # Errors
    /// As [`Service::cut_answer`]; a cursor of another answer.
    pub fn cut_page(
        &self,
        question: &CutQuestion,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<CutSetPage, ServiceError> {
        let position = self.cut_position(&question.id, cursor)?;
        let solved = self.solve_cut(question, &Progress::silent())?;
        let mut stream = solved.stream(position)?;
        let error = |e| set_error(e, Some(&solved.ground.units));
        let sets: Vec<Vec<u32>> =
            stream.by_ref().take(limit).collect::<Result<_, _>>().map_err(error)?;
        let more = sets.len() == limit && stream.next().is_some();
        let next = position + sets.len() as u64;
        let info = question.snapshot.info();
        Ok(CutSetPage {
            id: question.id.clone(),
            graph: info.graph.to_string(),
            version: info.version,
            cut_sets: solved.views(&sets, position + 1, 0, &Progress::silent())?,
            next_cursor: more.then(|| {
                Cursor { version: info.version, position: next }.encode(solved.fingerprint())
            }),
        })
    }

    /// One set of an answer by its rank, explained. Blocks.
    ///
    /// # Errors
    /// A rank beyond the last set.
    pub fn cut_set(&self, question: &CutQuestion, rank: u64) -> Result<SetView, ServiceError> {
        let absent = || ServiceError::Absent {
            what: "cut set",
            name: format!("{}/sets/{rank}", question.id),
            hint: Some("ranks count from 1 in the order of the answer".into()),
        };
        let solved = self.solve_cut(question, &Progress::silent())?;
        let position = rank.checked_sub(1).ok_or_else(absent)?;
        let set = solved
            .stream(position)?
            .next()
            .ok_or_else(absent)?
            .map_err(|e| set_error(e, Some(&solved.ground.units)))?;
        solved.views(&[set], rank, 1, &Progress::silent())?.pop().ok_or_else(absent)
    }

    /// The question as a fault tree in the Open-PSA format. Blocks.
    ///
    /// # Errors
    /// A question that no fault tree can say.
    pub fn cut_tree(&self, question: &CutQuestion) -> Result<String, ServiceError> {
        let CutAsk::CutSets(body) = &*question.ask else { return Err(ServiceError::Internal) };
        let loss = threshold(body.loss_at_least)?;
        let ground = Ground::new(&self.models, question.snapshot.clone(), &question.ask.common())?;
        let (values, _) = answer::values(&ground, &ground.units, body, &mut Vec::new())?;
        tree::fault_tree(&ground, loss, &values)
    }

    /// The impact question that one set of an answer stands for. Blocks.
    ///
    /// # Errors
    /// As [`Service::cut_set`].
    pub fn cut_impact(&self, question: &CutQuestion, rank: u64) -> Result<Question, ServiceError> {
        let view = self.cut_set(question, rank)?;
        let scenario = view.scenario.ok_or(ServiceError::Internal)?;
        self.question(question.snapshot.clone(), scenario)
    }
}

fn out_of_time(limit_hit: Option<&str>) -> bool {
    limit_hit.is_some_and(|limit| limit.starts_with("the time given"))
}

/// Refuses numbers that no graph could make sense of.
fn check(ask: &CutAsk) -> Result<(), ServiceError> {
    let refuse = |param: &str, problem: String| {
        Err(ServiceError::Impossible { param: Some(param.into()), problem, hint: None })
    };
    let limits = ask.common().limits;
    if limits.seconds.is_some_and(|s| !(s.is_finite() && s > 0.0)) {
        return refuse("limits.seconds", "limits.seconds must be a number above 0".into());
    }
    let (limit, max_size, most) = match ask {
        CutAsk::CutSets(body) => (body.limit, body.max_size, MOST_SETS),
        CutAsk::CheapestCut(body) => (body.limit, None, 10_000),
        CutAsk::Protection(body) => (None, body.max_size, MOST_SETS),
        CutAsk::WorstCase(_) => (None, None, MOST_SETS),
    };
    if limit.is_some_and(|limit| limit > most) {
        return refuse("limit", format!("limit is at most {most}; page with the cursor"));
    }
    if max_size == Some(0) {
        return refuse("max_size", "max_size counts units: give at least 1".into());
    }
    Ok(())
}
