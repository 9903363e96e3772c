//! `Idempotency-Key`: the same key and request within a day gives the first answer again.

use std::sync::{Arc, Mutex};

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalogue::lock;
use super::error::ServiceError;
use super::time::now_ms;
use super::writer::Attached;
use crate::store::{DocumentKind, Store};

/// How long a first answer is given again, in ms.
const KEPT_MS: i64 = 24 * 3600 * 1000;

/// A first answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAnswer {
    /// Hash of the request.
    request: String,
    /// When it was given.
    time_ms: i64,
    /// Status code.
    pub status: u16,
    /// `ETag` and `Location`, where given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Remembers first answers, and which keys are in use right now.
pub struct Idempotency {
    store: Arc<Store>,
    running: Arc<Mutex<FxHashSet<String>>>,
}

/// What to do with a request that carries a key.
pub enum Claim {
    /// It is the first: do the work, then [`Turn::finish`].
    First(Turn),
    /// It was answered before.
    Again(FirstAnswer),
}

/// The right to do the work of a key. Dropping it without an answer frees the key.
pub struct Turn {
    key: String,
    store: Arc<Store>,
    running: Arc<Mutex<FxHashSet<String>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.key);
    }
}

impl Turn {
    /// Remembers the answer to the request with this body hash.
    ///
    /// # Errors
    /// If the store cannot keep it.
    pub fn finish(
        self,
        request: String,
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    ) -> Result<(), ServiceError> {
        let first = FirstAnswer { request, time_ms: now_ms(), status, headers, body };
        let bytes = serde_json::to_vec(&first).map_err(|_| ServiceError::Internal)?;
        Ok(self.store.put_document(DocumentKind::Idempotency, &self.key, &bytes)?)
    }

    /// The document that remembers the answer to a batch of changes, to become durable with it:
    /// `answer` gives status, headers and body once the version is known. Keep the turn until the
    /// write is done.
    pub fn attached(
        &self,
        request: String,
        answer: impl FnOnce(u64) -> (u16, Vec<(String, String)>, String) + Send + 'static,
    ) -> Attached {
        let value = move |version| {
            let (status, headers, body) = answer(version);
            let first = FirstAnswer { request, time_ms: now_ms(), status, headers, body };
            serde_json::to_vec(&first).unwrap_or_default()
        };
        let kind = DocumentKind::Idempotency;
        Attached { kind, key: self.key.clone(), value: Box::new(value) }
    }
}

impl Idempotency {
    /// First answers kept in `store`.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, running: Arc::default() }
    }

    /// Claims a key for a request to `target` (method and path).
    ///
    /// # Errors
    /// [`ServiceError::KeyBusy`] while the first request runs.
    pub fn claim(&self, target: &str, key: &str) -> Result<Claim, ServiceError> {
        // Keys are hashed: users may write anything, of any length.
        let key = hash([target.as_bytes(), b"\0", key.as_bytes()]);
        if !lock(&self.running).insert(key.clone()) {
            return Err(ServiceError::KeyBusy);
        }
        let turn = Turn { key, store: self.store.clone(), running: self.running.clone() };
        let known = self.store.get_document(DocumentKind::Idempotency, &turn.key)?;
        let first = known.and_then(|bytes| serde_json::from_slice::<FirstAnswer>(&bytes).ok());
        Ok(match first.filter(|first| now_ms() - first.time_ms < KEPT_MS) {
            Some(first) => Claim::Again(first),
            None => Claim::First(turn),
        })
    }

    /// Drops first answers that have expired.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn expire(&self) -> Result<usize, ServiceError> {
        let mut expired = 0;
        for (key, bytes) in self.store.documents(DocumentKind::Idempotency, "")? {
            let first = serde_json::from_slice::<FirstAnswer>(&bytes).ok();
            if first.is_none_or(|first| now_ms() - first.time_ms >= KEPT_MS) {
                self.store.delete_document(DocumentKind::Idempotency, &key)?;
                expired += 1;
            }
        }
        Ok(expired)
    }
}

impl FirstAnswer {
    /// True if it answered a request with this body hash.
    pub fn answers(&self, request: &str) -> bool {
        self.request == request
    }
}

/// Hex SHA-256 of the parts, one after the other.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    hex(&sha.finalize())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
