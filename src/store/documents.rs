//! Small documents beside the graphs: scenarios, requests behind answers, keys, jobs, the audit log.

use super::error::StoreError;
use super::kv::{Batch, prefix_end};
use super::{Store, frame, held, keys};

/// Longest key of a document, in bytes.
const MAX_KEY_BYTES: usize = 1024;
/// Largest document.
const MAX_DOCUMENT_BYTES: usize = 64 << 20;

/// What a document is; each kind has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A stored scenario.
    Scenario,
    /// The request behind an answer's permalink.
    Answer,
    /// Which answers' requests were kept when: the oldest are the first to go.
    AnswerOrder,
    /// The answer to repeat for an idempotency key.
    Idempotency,
    /// An API key (salted hash, role, scope).
    ApiKey,
    /// An entry of the audit log.
    Audit,
    /// A job's state.
    Job,
    /// A job's result.
    JobResult,
    /// Anything that the service itself keeps.
    Setting,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Scenario,
        Self::Answer,
        Self::AnswerOrder,
        Self::Idempotency,
        Self::ApiKey,
        Self::Audit,
        Self::Job,
        Self::JobResult,
        Self::Setting,
    ];

    /// The byte in the key; part of the format.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Scenario => b's',
            Self::Answer => b'a',
            Self::AnswerOrder => b'o',
            Self::Idempotency => b'i',
            Self::ApiKey => b'k',
            Self::Audit => b'u',
            Self::Job => b'j',
            Self::JobResult => b'r',
            Self::Setting => b'c',
        }
    }
}

/// A document to write, or to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// What the document is.
    pub kind: DocumentKind,
    /// Its key.
    pub key: String,
    /// Its new value; `None` deletes it, if it is there.
    pub value: Option<Vec<u8>>,
}

/// Refuses a key or value that cannot be stored.
pub(super) fn check(kind: DocumentKind, key: &str, value: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.contains('\0') {
        return Err(StoreError::BadName {
            what: format!("the key \"{}\" of a document ({kind:?})", key.escape_debug()),
            problem: format!("it must have 1 to {MAX_KEY_BYTES} bytes and no NUL"),
        });
    }
    if value.len() > MAX_DOCUMENT_BYTES {
        return Err(StoreError::TooLarge {
            what: format!("the document {key} ({kind:?})"),
            bytes: value.len() as u64,
            limit: MAX_DOCUMENT_BYTES as u64,
        });
    }
    Ok(())
}

impl Store {
    /// Writes a document, in place of one with the same key. Durable when it returns.
    ///
    /// # Errors
    /// A key of no or over 1 024 bytes or with a NUL, a value over 64 MiB, or the write failed.
    pub fn put_document(
        &self,
        kind: DocumentKind,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        check(kind, key, value)?;
        let _documents = held(self.documents.lock());
        let mut batch = Batch::default();
        self.stage_document(&mut batch, kind, key, value)?;
        self.write(batch)
    }

    /// Writes and deletes several documents together. Durable when it returns.
    ///
    /// # Errors
    /// As [`Store::put_document`]; then nothing is changed.
    pub fn change_documents(&self, changes: &[DocumentChange]) -> Result<(), StoreError> {
        for DocumentChange { kind, key, value } in changes {
            check(*kind, key, value.as_deref().unwrap_or_default())?;
        }
        let _documents = held(self.documents.lock());
        let mut batch = Batch::default();
        for DocumentChange { kind, key, value } in changes {
            match value {
                Some(value) => self.stage_document(&mut batch, *kind, key, value)?,
                None => self.delete_parts(&mut batch, &keys::document(*kind, key))?,
            }
        }
        self.write(batch)
    }

    /// Adds a document to a batch; documents are locked by the caller.
    pub(super) fn stage_document(
        &self,
        batch: &mut Batch,
        kind: DocumentKind,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let prefix = keys::document(kind, key);
        self.delete_parts(batch, &prefix)?;
        frame::put_parts(batch, &prefix, value);
        Ok(())
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn get_document(
        &self,
        kind: DocumentKind,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if check(kind, key, &[]).is_err() {
            return Ok(None);
        }
        let prefix = keys::document(kind, key);
        // Most have one part, which is read whole or not at all.
        if let Some(value) = self.kv.get(&frame::part_key(&prefix, 0))? {
            let (payload, more) = frame::open(&frame::part_key(&prefix, 0), &value)?;
            if !more {
                return Ok(Some(payload.to_vec()));
            }
        }
        let _documents = held(self.documents.lock());
        frame::read_parts(&*self.kv, &prefix)
    }

    /// Deletes a document; false if there was none.
    ///
    /// # Errors
    /// The write failed.
    pub fn delete_document(&self, kind: DocumentKind, key: &str) -> Result<bool, StoreError> {
        if check(kind, key, &[]).is_err() {
            return Ok(false);
        }
        let _documents = held(self.documents.lock());
        let mut batch = Batch::default();
        self.delete_parts(&mut batch, &keys::document(kind, key))?;
        if batch.is_empty() {
            return Ok(false);
        }
        self.write(batch)?;
        Ok(true)
    }

    /// The documents of a kind whose keys start with `prefix`, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn documents(
        &self,
        kind: DocumentKind,
        prefix: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut start = vec![keys::DOCUMENT, kind.code()];
        start.extend_from_slice(prefix.as_bytes());
        let _documents = held(self.documents.lock());
        let mut found = Vec::new();
        frame::scan_whole(&*self.kv, &start, prefix_end(&start).as_deref(), |key, value| {
            let name = key.get(2..key.len() - 1).unwrap_or_default();
            let name = std::str::from_utf8(name).map_err(|_| {
                StoreError::corrupt(format!("the key of document {}", keys::describe(key)))
            })?;
            found.push((name.to_owned(), value.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }
}
