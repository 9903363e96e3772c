//! Finished answers by id, kept in memory up to a number of bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::catalogue::lock;
use crate::graph::Snapshot;

/// A finished answer. Its id is a hash of graph, version, question, engine and seed, so equal ids
/// mean equal bytes and an answer never changes.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Id, for example `imp_…`.
    pub id: Arc<str>,
    /// Where it can be read, for example `/v1/impacts/imp_…`.
    pub location: String,
    /// Version of the graph that it speaks of.
    pub version: u64,
    /// The JSON body.
    pub body: Bytes,
}

/// A question in the words it was asked in, of one version of a graph. Equal ones have one answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The words.
    body: Bytes,
    /// Version of the graph.
    pub version: u64,
    /// Hash of the version's content: a graph that was deleted and made again differs.
    fingerprint: u64,
    /// State of the stored scenarios that the words may name.
    scenarios: u64,
    graph: Arc<str>,
}

impl Asked {
    /// The question `body` of a snapshot, after `scenarios` writes of stored scenarios.
    pub fn new(snapshot: &Snapshot, scenarios: u64, body: &Bytes) -> Self {
        let info = snapshot.info();
        Self {
            body: body.clone(),
            version: info.version,
            fingerprint: snapshot.fingerprint(),
            scenarios,
            graph: info.graph.clone(),
        }
    }

    fn bytes(&self) -> usize {
        self.body.len() + OVERHEAD
    }
}

/// Ids of answers by the words of their questions.
#[derive(Debug, Default)]
struct Words {
    ids: FxHashMap<Asked, Arc<str>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// Answer and when it was last asked for.
    by_id: FxHashMap<Arc<str>, (Answer, u64)>,
    by_age: BTreeMap<u64, Arc<str>>,
    clock: u64,
    bytes: usize,
}

/// Answers, least recently asked for dropped first.
#[derive(Debug)]
pub struct AnswerCache {
    kept: Mutex<Kept>,
    words: Mutex<Words>,
    most_bytes: usize,
}

/// What an answer costs beside its body.
const OVERHEAD: usize = 256;

impl AnswerCache {
    /// A cache of at most `most_bytes` bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self { kept: Mutex::default(), words: Mutex::default(), most_bytes }
    }

    /// The answer to a question that was asked in the same words, if kept.
    pub fn to(&self, question: &Asked) -> Option<Answer> {
        let id = lock(&self.words).ids.get(question)?.clone();
        self.get(&id)
    }

    /// Remembers which answer a question has. Words take up to an eighth of what answers may; then
    /// all are forgotten: the next questions are resolved again.
    pub fn remember(&self, mut question: Asked, id: impl Into<Arc<str>>) {
        // Not the buffer that the body was received in.
        question.body = Bytes::copy_from_slice(&question.body);
        let words = &mut *lock(&self.words);
        let size = question.bytes();
        if words.bytes + size > self.most_bytes / 8 {
            *words = Words::default();
        }
        if size <= self.most_bytes / 8 && words.ids.insert(question, id.into()).is_none() {
            words.bytes += size;
        }
    }

    /// The answer of this id, if kept.
    pub fn get(&self, id: &str) -> Option<Answer> {
        let kept = &mut *lock(&self.kept);
        kept.clock += 1;
        let (answer, age) = kept.by_id.get_mut(id)?;
        if let Some(id) = kept.by_age.remove(age) {
            kept.by_age.insert(kept.clock, id);
        }
        *age = kept.clock;
        Some(answer.clone())
    }

    /// The answer at an address, if kept: an id of another kind of answer is not there.
    pub fn at(&self, collection: &str, id: &str) -> Option<Answer> {
        self.get(id).filter(|answer| *answer.location == *format!("/v1/{collection}/{id}"))
    }

    /// Keeps an answer. One larger than the whole cache is not kept.
    pub fn put(&self, answer: Answer) {
        let size = answer.body.len() + OVERHEAD;
        if size > self.most_bytes {
            return;
        }
        let kept = &mut *lock(&self.kept);
        kept.clock += 1;
        let (id, clock) = (answer.id.clone(), kept.clock);
        if let Some((old, age)) = kept.by_id.insert(id.clone(), (answer, clock)) {
            kept.by_age.remove(&age);
            kept.bytes -= old.body.len() + OVERHEAD;
        }
        kept.by_age.insert(clock, id);
        kept.bytes += size;
        while kept.bytes > self.most_bytes {
            let Some((_, oldest)) = kept.by_age.pop_first() else { break };
            if let Some((old, _)) = kept.by_id.remove(&oldest) {
                kept.bytes -= old.body.len() + OVERHEAD;
            }
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        let words = lock(&self.words).bytes;
        lock(&self.kept).bytes + words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str, size: usize) -> Answer {
        Answer {
            id: id.into(),
            location: String::new(),
            version: 1,
            body: Bytes::from(vec![b'x'; size]),
        }
    }

    #[test]
    fn the_least_recently_asked_for_goes_first() {
        let cache = AnswerCache::new(3 * (1000 + OVERHEAD));
        for id in ["a", "b", "c"] {
            cache.put(answer(id, 1000));
        }
        assert!(cache.get("a").is_some());
        cache.put(answer("d", 1000));
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some() && cache.get("d").is_some());
        cache.put(answer("a", 10));
        assert_eq!(cache.bytes(), 2010 + 3 * OVERHEAD);
        cache.put(answer("huge", 10_000));
        assert!(cache.get("huge").is_none());
    }
}
