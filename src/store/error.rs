//! What can go wrong in the store, each with what, where and what to do.

use std::path::PathBuf;

/// Why the store could not do what was asked. Nothing was half-written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process (or another store in this one) has the directory.
    #[error(
        "the data directory {} is in use by another process; stop that one or give another --data-dir",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// Stored bytes are not what was written.
    #[error("the store is damaged: {what}; {hint}")]
    Corrupt {
        /// What is damaged, and where.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Written by a program with another on-disk format.
    #[error(
        "the data directory has format {found}, this program reads format {expected}; use the \
         program that wrote it, or export there and import here"
    )]
    Version {
        /// Format of the directory.
        found: u32,
        /// Format of this program.
        expected: u32,
    },
    /// No space is left on the device.
    #[error(
        "the disk is full ({what}); nothing was acknowledged: free some space and restart, the \
         data up to the last acknowledged write is there"
    )]
    Full {
        /// What was being done.
        what: String,
    },
    /// The operating system reported an error.
    #[error("{what} failed: {problem}; check the disk and the rights on the data directory")]
    Io {
        /// What was being done, and where.
        what: String,
        /// What the operating system said.
        problem: String,
    },
    /// An earlier write failed, so nothing more is acknowledged.
    #[error(
        "the store stopped writing after an input/output error; reads still work: check the disk \
         and restart"
    )]
    Failed,
    /// There is no graph of this name.
    #[error(
        "there is no graph \"{name}\"{}",
        nearest.as_ref().map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_else(|| "; create it or list the graphs there are".into())
    )]
    NoSuchGraph {
        /// The name asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// The graph has no such version (any more).
    #[error(
        "graph \"{graph}\" has no version {version}; its versions run from {oldest} to {newest}, \
         less those that its retention gave up"
    )]
    NoSuchVersion {
        /// Graph.
        graph: String,
        /// Version asked for.
        version: u64,
        /// Oldest version that is kept.
        oldest: u64,
        /// Newest version.
        newest: u64,
    },
    /// A graph of this name exists.
    #[error("there is already a graph \"{name}\"; choose another name or delete that one first")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The name or key cannot be used.
    #[error("{what} cannot be used: {problem}")]
    BadName {
        /// The name or key.
        what: String,
        /// Why not.
        problem: String,
    },
    /// Someone else wrote first.
    #[error(
        "graph \"{graph}\" is at version {current}, not {expected}; read it again and repeat the \
         change"
    )]
    Conflict {
        /// Graph.
        graph: String,
        /// Version that the change was made for.
        expected: u64,
        /// Version that the graph has.
        current: u64,
    },
    /// One value is beyond what a single write may hold.
    #[error("{what} takes {bytes} bytes; at most {limit}: split it or use a bulk import")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A restore wants an empty directory.
    #[error("{} is not empty; restore into a new or empty directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
}

impl StoreError {
    /// Damage with the usual advice.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt {
            what: what.into(),
            hint: "run `chokepoint check` to see what can still be read, export that, and restore \
                   the last backup with `chokepoint restore`"
                .into(),
        }
    }

    /// An operating system error; a full disk is told apart.
    pub(super) fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        let what = what.into();
        if error.kind() == std::io::ErrorKind::StorageFull || error.raw_os_error() == Some(28) {
            return Self::Full { what };
        }
        Self::Io { what, problem: error.to_string() }
    }

    /// True if the storage below failed, so that nothing more may be acknowledged.
    pub(super) fn is_fatal(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Full { .. } | Self::Io { .. } | Self::Failed)
    }
}
