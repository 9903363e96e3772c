//! Checks everything that is stored: checksums, references, the chain of versions.

use std::collections::{BTreeMap, BTreeSet};

use super::base::{self, EMPTY_BASE};
use super::bytes::Malformed;
use super::error::StoreError;
use super::keys::{self, KeyReader, Pending};
use super::records::{Entry, VersionRow};
use super::{Store, frame, held, log};

/// Problems listed before the list is cut.
const MAX_PROBLEMS: usize = 1000;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Graphs that can be read.
    pub graphs: u64,
    /// Versions of these.
    pub versions: u64,
    /// Bases.
    pub bases: u64,
    /// Stored values of all kinds.
    pub records: u64,
    /// Parts of documents.
    pub documents: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Records that wait for deletion in the background (harmless).
    pub pending: u64,
    /// Everything that is wrong, each with its place; at most 1 000.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// True if nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, problem: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem.into());
        }
    }

    fn note(&mut self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {}
            Err(StoreError::Corrupt { what, .. }) => self.problem(what),
            Err(other) => self.problem(other.to_string()),
        }
    }
}

/// Which bases the raw records speak of.
#[derive(Default)]
struct Seen {
    headers: BTreeSet<u64>,
    content: BTreeSet<u64>,
    references: BTreeSet<(u64, u32)>,
    pending_bases: BTreeSet<u64>,
    pending_logs: Vec<Pending>,
}

impl Store {
    /// Reads everything: the checksum of each value, that each base is whole and equals its hash,
    /// that each version's hash follows from its base and log, that nothing is missing or left
    /// over. Writers wait while the records are listed, not while they are verified.
    ///
    /// # Errors
    /// Only if nothing can be read at all; what is damaged is in the report.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let _reading = held(self.garbage.read());
        let mut report = CheckReport::default();
        self.damaged.iter().for_each(|problem| report.problem(problem.clone()));
        let (seen, entries) = {
            let _writer = self.lock_writer();
            (self.check_records(&mut report), self.heads().values().cloned().collect::<Vec<_>>())
        };
        let mut checked = BTreeMap::new();
        for entry in &entries {
            report.graphs += 1;
            let result = self.check_graph(entry, &seen, &mut checked, &mut report);
            report.note(result);
        }
        report.bases = checked.len() as u64;
        for base in seen.headers.union(&seen.content) {
            let known = checked.contains_key(base) || seen.pending_bases.contains(base);
            if !known && self.damaged.is_empty() {
                report.problem(format!("base {base} belongs to no graph"));
            }
        }
        Ok(report)
    }

    fn check_records(&self, report: &mut CheckReport) -> Seen {
        let mut seen = Seen::default();
        let result = self.kv.scan(&[], None, &mut |key, value| {
            report.records += 1;
            report.bytes += (key.len() + value.len()) as u64;
            report.note(frame::open(key, value).map(|_| ()));
            let mut reader = KeyReader::new(key);
            match key.first().copied() {
                Some(keys::BASE) => seen.headers.extend(reader.u64()),
                Some(keys::DICTIONARY | keys::REQUIREMENTS | keys::SEGMENT) => {
                    seen.content.extend(reader.u64());
                }
                Some(keys::REFERENCE) => seen.references.extend(reader.u64().zip(reader.u32())),
                Some(keys::PENDING) => {
                    report.pending += 1;
                    match keys::parse_pending(key) {
                        Some(Pending::Base(base)) => drop(seen.pending_bases.insert(base)),
                        other => seen.pending_logs.extend(other),
                    }
                }
                Some(keys::DOCUMENT) => report.documents += 1,
                Some(
                    keys::META | keys::TIP | keys::GRAPH | keys::HEAD | keys::VERSION | keys::LOG,
                ) => {}
                _ => report.problem(format!("unknown record {}", keys::describe(key))),
            }
            Ok(true)
        });
        report.note(result);
        let documents =
            frame::scan_whole(&*self.kv, &[keys::DOCUMENT], Some(&[keys::DOCUMENT + 1]), |_, _| {
                Ok(())
            });
        report.note(documents);
        seen
    }

    fn check_graph(
        &self,
        entry: &Entry,
        seen: &Seen,
        checked: &mut BTreeMap<u64, Option<u128>>,
        report: &mut CheckReport,
    ) -> Result<(), StoreError> {
        let name = &entry.head.name;
        let mut rows = VersionRow::load_all(&*self.kv, entry.id)?;
        rows.retain(|r| r.info.version <= entry.head.version);
        report.versions += rows.len() as u64;
        let complete = entry.head.settings.retention.last.is_none();
        let mut expected = rows.first().map_or(0, |r| r.info.version);
        for row in &rows {
            let version = row.info.version;
            if version != expected && complete {
                report.problem(format!("graph \"{name}\": version {expected} is missing"));
            }
            expected = version + 1;
        }
        if expected != entry.head.version + 1 {
            report.problem(format!("graph \"{name}\": its newest versions are missing"));
        }
        let mut logs: BTreeMap<u64, u64> = BTreeMap::new();
        self.log_records(entry.id, 0, entry.head.version, |version, record| {
            logs.insert(version, record.len() as u64);
            Ok(())
        })?;
        for row in rows.iter().filter(|r| !r.info.bulk) {
            let version = row.info.version;
            if logs.get(&version).copied().unwrap_or(0) != row.log_bytes {
                report.problem(format!("graph \"{name}\": the log of version {version}"));
            }
        }
        let known: BTreeSet<u64> = rows.iter().map(|r| r.info.version).collect();
        let to_go = |version: u64| {
            seen.pending_logs.iter().any(|p| {
                matches!(*p, Pending::Log { graph, from, to }
                    if graph == entry.id && (from..to).contains(&version))
            })
        };
        for version in logs.into_keys().filter(|v| !known.contains(v) && !to_go(*v)) {
            report.problem(format!(
                "graph \"{name}\": version {version} has a log but no version record"
            ));
        }
        // Rows of one base and log belong together: walk the log once for all of them.
        let mut groups: BTreeMap<(u64, u64), Vec<&VersionRow>> = BTreeMap::new();
        for row in &rows {
            groups.entry((row.base, row.log_from)).or_default().push(row);
        }
        for ((base, log_from), rows) in groups {
            if base != EMPTY_BASE && !seen.references.contains(&(base, entry.id)) {
                report.problem(format!("graph \"{name}\": no reference to its base {base}"));
            }
            let chain =
                *checked.entry(base).or_insert_with(|| match base::read_base(&*self.kv, base) {
                    Ok((_, header)) => Some(header.chain),
                    Err(error) => {
                        report.note(Err(error));
                        None
                    }
                });
            if base == EMPTY_BASE {
                checked.remove(&base);
            }
            let Some(chain) = chain else {
                report.problem(format!(
                    "graph \"{name}\": the versions on base {base} cannot be read"
                ));
                continue;
            };
            let result = self.check_chain(entry, chain, log_from, &rows);
            report.note(result);
        }
        self.load(name, None).map(|_| ())
    }

    fn check_chain(
        &self,
        entry: &Entry,
        mut chain: u128,
        log_from: u64,
        rows: &[&VersionRow],
    ) -> Result<(), StoreError> {
        let name = &entry.head.name;
        let wrong = |version: u64| {
            StoreError::corrupt(format!("graph \"{name}\", version {version}: the log or its hash"))
        };
        let mut left = rows.iter().copied().peekable();
        // A version without log of its own in this group: it is the base itself.
        while let Some(row) = left.next_if(|r| r.info.version < log_from || r.replay_bytes == 0) {
            if row.chain != chain {
                return Err(wrong(row.info.version));
            }
        }
        let Some(last) = rows.last().filter(|r| r.info.version >= log_from) else { return Ok(()) };
        self.log_records(entry.id, log_from, last.info.version, |version, record| {
            for batch in log::batches(record) {
                let batch = batch.map_err(|Malformed| wrong(version))?;
                log::decode_batch(batch).map_err(|Malformed| wrong(version))?;
                chain = log::chain(chain, batch);
            }
            match left.next_if(|r| r.info.version == version) {
                Some(row) if row.chain == chain => Ok(()),
                _ => Err(wrong(version)),
            }
        })?;
        left.next().map_or(Ok(()), |row| Err(wrong(row.info.version)))
    }
}
