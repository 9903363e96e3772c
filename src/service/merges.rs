//! Merging: what another graph changed since a common version, as one batch on this one.
//!
//! Three-way: with the common version as base, a field that only one side changed takes that
//! side's content; one that both changed to different content is a conflict. A figure (value,
//! unit, source, range) is one field: half of it from either side would be true of neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Service;
use super::diff::{key, object, walk};
use super::error::ServiceError;
use super::graphs::{ForkView, MAX_CHANGES, WriteContext};
use super::rows::Table;
use super::time::now_ms;
use super::writer::{Attached, Write};
use crate::graph::Snapshot;
use crate::model::change::{FlowKey, RecordKey};
use crate::model::{Change, Record};
use crate::store::DocumentKind;

/// Most conflicts listed; their number is always whole.
const MAX_LISTED: usize = 1000;
/// How often a merge starts anew because the graph changed meanwhile.
const ATTEMPTS: usize = 5;
/// Fields of a flow that are one figure.
const FLOW_FIGURE: [&str; 7] = ["quantity", "unit", "class", "source", "year", "low", "high"];

/// What happens where both sides changed the same field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Nothing is written.
    #[default]
    Refuse,
    /// This graph's content stays.
    Ours,
    /// The other graph's content is taken.
    Theirs,
}

/// A merge to do.
#[derive(Debug, Clone)]
pub struct MergeRequest {
    /// Graph that is changed.
    pub into: String,
    /// Graph whose changes are taken.
    pub from: String,
    /// Up to which of its versions (default: newest).
    pub version: Option<u64>,
    /// What happens on conflicts.
    pub on_conflict: OnConflict,
    /// Author, message, `If-Match`.
    pub context: WriteContext,
}

/// What a merge did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Merged {
    /// Graph that was changed.
    pub graph: String,
    /// Its version now; as before if there was nothing to take.
    pub version: u64,
    /// Whose changes were taken, up to which version.
    pub from: ForkView,
    /// The version that both were compared with.
    pub base: ForkView,
    /// Changes made.
    pub applied: usize,
    /// Conflicts that were decided by `on_conflict`.
    pub conflicts_decided: usize,
    /// What happened on conflicts.
    pub on_conflict: OnConflict,
}

/// One field that both sides changed; null where a side does not state it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldConflict {
    /// Field; `record` where one side deleted the record, `flows` where one side deleted a node
    /// that the other gave a flow.
    pub field: String,
    /// In the common version.
    #[schema(value_type = Option<Object>)]
    pub base: Value,
    /// In the graph that is changed.
    #[schema(value_type = Option<Object>)]
    pub ours: Value,
    /// In the graph whose changes are taken.
    #[schema(value_type = Option<Object>)]
    pub theirs: Value,
}

/// One record that both sides changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Conflict {
    /// `node`, `flow` or `requirement`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Id of the record.
    pub id: String,
    /// The fields.
    pub fields: Vec<FieldConflict>,
}

/// Why a merge was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Conflicts {
    /// Graph that was to be changed, at which version.
    pub into: ForkView,
    /// Graph whose changes were to be taken, up to which version.
    pub from: ForkView,
    /// The version that both were compared with.
    pub base: ForkView,
    /// Number of records in conflict.
    pub count: usize,
    /// The records, at most 1000.
    pub records: Vec<Conflict>,
}

impl Conflicts {
    /// One line for people.
    pub fn describe(&self) -> String {
        let names: Vec<String> = self
            .records
            .iter()
            .take(3)
            .map(|c| {
                let fields: Vec<&str> = c.fields.iter().map(|f| f.field.as_str()).collect();
                format!("{} {} ({})", c.kind, c.id, fields.join(", "))
            })
            .collect();
        let more = if self.count > names.len() { ", ..." } else { "" };
        format!(
            "{} of both {} and {} changed since {} version {}: {}{more}; nothing was written",
            if self.count == 1 {
                "one record".to_owned()
            } else {
                format!("{} records", self.count)
            },
            self.into.graph,
            self.from.graph,
            self.base.graph,
            self.base.version,
            names.join(", "),
        )
    }
}

/// What was merged last between two graphs: the next merge starts from there.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LastMerge {
    /// Version of the graph whose changes were taken.
    version: u64,
    /// When both graphs were made: another graph of the same name is another graph.
    from_created: i64,
    into_created: i64,
    time_ms: i64,
}

/// The outcome of comparing three versions.
#[derive(Debug, Default)]
struct ThreeWay {
    changes: Vec<Change>,
    conflicts: Vec<Conflict>,
}

impl Service {
    /// Takes the changes of one graph into another.
    ///
    /// # Errors
    /// [`ServiceError::Conflicts`]; graphs that have no version in common, or whose common version
    /// is no longer kept; an absent graph or version; a stale `If-Match`.
    pub async fn merge(&self, request: MergeRequest) -> Result<Merged, ServiceError> {
        if request.into == request.from {
            return Err(ServiceError::malformed("from.graph", "a graph is not merged into itself"));
        }
        let theirs = self.snapshot(&request.from, request.version).await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.merge_once(&request, &theirs).await {
                Err(ServiceError::Stale { .. })
                    if request.context.if_match.is_none() && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
    }

    async fn merge_once(
        &self,
        request: &MergeRequest,
        theirs: &Arc<Snapshot>,
    ) -> Result<Merged, ServiceError> {
        let ours = self.snapshot(&request.into, None).await?;
        let current = ours.info().version;
        if let Some(expected) = request.context.if_match.filter(|&e| e != current) {
            return Err(ServiceError::Stale { expected, current });
        }
        let (base_view, base) = self.common(&ours, theirs).await?;
        let from = ForkView { graph: request.from.clone(), version: theirs.info().version };
        let (policy, sides) = (request.on_conflict, (ours.clone(), theirs.clone()));
        let outcome =
            self.pool.run(move || Ok(three_way(&base, &sides.0, &sides.1, policy))).await?;
        let ThreeWay { changes, mut conflicts } = outcome;
        if policy == OnConflict::Refuse && !conflicts.is_empty() {
            let count = conflicts.len();
            conflicts.truncate(MAX_LISTED);
            return Err(ServiceError::Conflicts(Box::new(Conflicts {
                into: ForkView { graph: request.into.clone(), version: current },
                from,
                base: base_view,
                count,
                records: conflicts,
            })));
        }
        if changes.len() > MAX_CHANGES {
            return Err(ServiceError::Impossible {
                param: Some("from".into()),
                problem: format!("{} changes; at most {MAX_CHANGES}", changes.len()),
                hint: Some("export the other graph and import it instead".into()),
            });
        }
        let (key, value) = self.last_merge_document(request, theirs.info().version)?;
        let applied = changes.len();
        let mut version = current;
        if applied == 0 {
            let (store, key) = (self.store.clone(), key);
            self.blocking(move || Ok(store.put_document(DocumentKind::Setting, &key, &value)?))
                .await?;
        } else {
            let message =
                request.context.message.clone().unwrap_or_else(|| {
                    format!("merge of {} at version {}", from.graph, from.version)
                });
            let context = WriteContext {
                if_match: Some(current),
                message: Some(message),
                ..request.context.clone()
            };
            let attached =
                Attached { kind: DocumentKind::Setting, key, value: Box::new(move |_| value) };
            let write = Write::Changes(changes);
            let done = self.write_with(&request.into, context, write, vec![attached]).await?;
            version = done.version.map_or(done.head.version, |v| v.version);
        }
        Ok(Merged {
            graph: request.into.clone(),
            version,
            from,
            base: base_view,
            applied,
            conflicts_decided: conflicts.len(),
            on_conflict: policy,
        })
    }

    fn last_merge_document(
        &self,
        request: &MergeRequest,
        version: u64,
    ) -> Result<(String, Vec<u8>), ServiceError> {
        let last = LastMerge {
            version,
            from_created: self.catalogue.entry(&request.from)?.head().created_ms,
            into_created: self.catalogue.entry(&request.into)?.head().created_ms,
            time_ms: now_ms(),
        };
        let bytes = serde_json::to_vec(&last).map_err(|_| ServiceError::Internal)?;
        Ok((merge_key(&request.into, &request.from), bytes))
    }

    /// The newest version that two graphs have in common, as far as it is known and kept.
    async fn common(
        &self,
        ours: &Snapshot,
        theirs: &Snapshot,
    ) -> Result<(ForkView, Arc<Snapshot>), ServiceError> {
        let (into, from) = (&*ours.info().graph, &*theirs.info().graph);
        let mut found: Option<(i64, ForkView)> = None;
        // Merged before, in either direction: what was taken then is common.
        for (target, source) in [(into, from), (from, into)] {
            if let Some(last) = self.last_merge(target, source)?
                && (source != from || last.version <= theirs.info().version)
                && found.as_ref().is_none_or(|(time, _)| *time < last.time_ms)
            {
                let view = ForkView { graph: source.to_owned(), version: last.version };
                found = Some((last.time_ms, view));
            }
        }
        let mut candidates: Vec<ForkView> = found.into_iter().map(|(_, view)| view).collect();
        if candidates.is_empty() {
            let (a, b) = (
                self.ancestry(into, ours.info().version),
                self.ancestry(from, theirs.info().version),
            );
            let shared = a.iter().enumerate().find_map(|(i, (graph, version))| {
                let j = b.iter().position(|(other, _)| other == graph)?;
                Some((i, j, graph.clone(), *version, b[j].1))
            });
            if let Some((i, j, graph, ours_from, theirs_from)) = shared {
                let version = ours_from.min(theirs_from);
                candidates.push(ForkView { graph, version });
                // The fork's version 0 is the same content, if the origin's is no longer kept.
                let child = if ours_from <= theirs_from {
                    i.checked_sub(1).map(|i| &a[i].0)
                } else {
                    j.checked_sub(1).map(|j| &b[j].0)
                };
                candidates.extend(child.map(|c| ForkView { graph: c.clone(), version: 0 }));
            }
        }
        let mut gone = None;
        for candidate in candidates {
            match self.snapshot(&candidate.graph, Some(candidate.version)).await {
                Ok(snapshot) => return Ok((candidate, snapshot)),
                Err(error @ (ServiceError::Gone { .. } | ServiceError::Absent { .. })) => {
                    gone.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ServiceError::Impossible {
            param: Some("from.graph".into()),
            problem: match gone {
                Some(error) => format!("{into} and {from} have no common version left: {error}"),
                None => format!("{into} and {from} have no version in common"),
            },
            hint: Some(
                "merge a fork with its origin, or two forks of one graph; export and import \
                 (mode=merge) joins graphs that are not related"
                    .into(),
            ),
        })
    }

    fn last_merge(&self, into: &str, from: &str) -> Result<Option<LastMerge>, ServiceError> {
        let stored = self.store.get_document(DocumentKind::Setting, &merge_key(into, from))?;
        let last = stored.and_then(|bytes| serde_json::from_slice::<LastMerge>(&bytes).ok());
        let created = |graph| self.catalogue.entry(graph).map(|e| e.head().created_ms).ok();
        Ok(last.filter(|last| {
            created(from) == Some(last.from_created) && created(into) == Some(last.into_created)
        }))
    }

    /// A graph at a version and where it comes from, nearest first.
    fn ancestry(&self, graph: &str, version: u64) -> Vec<(String, u64)> {
        let mut line = vec![(graph.to_owned(), version)];
        let mut child = self.catalogue.entry(graph).map(|entry| entry.head());
        while let Ok(head) = child {
            let Some((parent, version)) = head.forked_from.clone() else { break };
            child = self.catalogue.entry(&parent).map(|entry| entry.head());
            // A younger graph of the same name is another graph.
            let same = child.as_ref().is_ok_and(|parent| parent.created_ms <= head.created_ms);
            if !same || line.iter().any(|(known, _)| *known == parent) {
                break;
            }
            line.push((parent, version));
        }
        line
    }

    /// Refuses a fork that would take the name of one of its own ancestors (deleted since).
    pub(super) fn refuse_cycle(&self, name: &str, origin: &str) -> Result<(), ServiceError> {
        let mut seen = BTreeSet::from([origin.to_owned()]);
        let mut next = Some(origin.to_owned());
        while let Some(graph) = next {
            let parent = self
                .catalogue
                .entry(&graph)
                .ok()
                .and_then(|entry| entry.head().forked_from.clone())
                .map(|(parent, _)| parent);
            if parent.as_deref() == Some(name) || graph == name {
                return Err(ServiceError::Impossible {
                    param: Some("forked_from.graph".into()),
                    problem: format!("{origin} descends from a graph named {name}"),
                    hint: Some("choose another name: forks form no cycles".into()),
                });
            }
            next = parent.filter(|parent| seen.insert(parent.clone()));
        }
        Ok(())
    }
}

fn merge_key(into: &str, from: &str) -> String {
    format!("merge/{into}/{from}")
}

type Key = (String, String, String);
/// Rows of the base and of one side.
type Rows = (Option<usize>, Option<usize>);

/// The three versions and how conflicts are decided.
struct Sides<'a> {
    base: &'a Snapshot,
    ours: &'a Snapshot,
    theirs: &'a Snapshot,
    policy: OnConflict,
}

/// Compares two sides with their base.
fn three_way(base: &Snapshot, ours: &Snapshot, theirs: &Snapshot, policy: OnConflict) -> ThreeWay {
    let sides = Sides { base, ours, theirs, policy };
    let mut out = ThreeWay::default();
    for table in [Table::Nodes, Table::Flows, Table::Requirements] {
        let mine: BTreeMap<Key, Rows> = changed(table, base, ours).into_iter().collect();
        for (at, (before, after)) in changed(table, base, theirs) {
            let record = |side, row: Option<usize>| row.map(|row| table.record(side, row));
            let old = record(base, before);
            let new = record(theirs, after);
            let own = match mine.get(&at) {
                Some((_, row)) => record(ours, *row),
                // Not touched on our side: as in the base.
                None => {
                    out.changes.push(change(table, &at, new));
                    continue;
                }
            };
            if own == new {
                continue;
            }
            let (decided, fields) = sides.decide(table, old, own.clone(), new);
            if !fields.is_empty() {
                out.conflicts.push(Conflict {
                    kind: kind(table),
                    id: sides.id(table, &at),
                    fields,
                });
            }
            if decided != own {
                out.changes.push(change(table, &at, decided));
            }
        }
    }
    sides.join_ends(&mut out);
    out
}

/// What one side changed, by key.
fn changed(table: Table, base: &Snapshot, side: &Snapshot) -> Vec<(Key, Rows)> {
    let mut all = Vec::new();
    walk(table, base, side, |before, after| {
        let at = after.map(|row| key(table, side, row));
        if let Some((a, b, c)) = at.or_else(|| before.map(|row| key(table, base, row))) {
            all.push(((a.to_owned(), b.to_owned(), c.to_owned()), (before, after)));
        }
    });
    all
}

fn kind(table: Table) -> &'static str {
    match table {
        Table::Nodes => "node",
        Table::Flows => "flow",
        Table::Requirements => "requirement",
    }
}

/// The change that gives a key this content.
fn change(table: Table, at: &Key, record: Option<Record>) -> Change {
    let (a, b, c) = at.clone();
    match record {
        // The product is spelled out: the supplier's own may be another on the other side.
        Some(Record::Flow(flow)) => {
            Change::Put(Record::Flow(crate::model::FlowRecord { product: Some(c), ..flow }))
        }
        Some(record) => Change::Put(record),
        None => Change::Delete(match table {
            Table::Nodes => RecordKey::Node { id: a, detach: false },
            Table::Flows => RecordKey::Flow(FlowKey { from: a, to: b, product: Some(c) }),
            Table::Requirements => RecordKey::Requirement { output: a, input: b },
        }),
    }
}

impl Sides<'_> {
    /// Id of a record as users know it.
    fn id(&self, table: Table, at: &Key) -> String {
        let (a, b, c) = at;
        match table {
            Table::Nodes => a.clone(),
            Table::Requirements => format!("{a}..{b}"),
            Table::Flows => {
                let own = [self.ours, self.theirs, self.base]
                    .into_iter()
                    .find_map(|side| Some(side.name(side.product(side.index(a)?)) == c));
                if own == Some(true) { format!("{a}..{b}") } else { format!("{a}..{b}..{c}") }
            }
        }
    }

    /// What a record that both sides changed becomes, and what had to be decided for it.
    fn decide(
        &self,
        table: Table,
        base: Option<Record>,
        ours: Option<Record>,
        theirs: Option<Record>,
    ) -> (Option<Record>, Vec<FieldConflict>) {
        if let (Some(own), Some(new)) = (&ours, &theirs) {
            let base = base.as_ref().map(|record| parts(table, record)).unwrap_or_default();
            let (merged, conflicts) =
                by_field(&base, &parts(table, own), &parts(table, new), self.policy);
            if let Some(record) = whole(table, merged) {
                return (Some(record), conflicts);
            }
        }
        let side = |record: &Option<Record>| match record {
            Some(record) => Value::Object(object(record)),
            None => Value::Null,
        };
        let conflict = FieldConflict {
            field: "record".into(),
            base: side(&base),
            ours: side(&ours),
            theirs: side(&theirs),
        };
        (if self.policy == OnConflict::Theirs { theirs } else { ours }, vec![conflict])
    }

    /// Settles flows whose ends the other side deleted.
    fn join_ends(&self, out: &mut ThreeWay) {
        let ThreeWay { changes, conflicts } = out;
        let mut put_nodes = BTreeSet::new();
        let mut gone_flows = BTreeSet::new();
        for change in changes.iter() {
            match change {
                Change::Put(Record::Node(node)) => drop(put_nodes.insert(node.id.clone())),
                Change::Delete(RecordKey::Flow(k)) => {
                    let product = k.product.clone().unwrap_or_default();
                    gone_flows.insert((k.from.clone(), k.to.clone(), product));
                }
                _ => {}
            }
        }
        let keep_ours = self.policy != OnConflict::Theirs;
        // They deleted a node to which we gave flows.
        changes.retain_mut(|change| {
            let Change::Delete(RecordKey::Node { id, detach }) = change else { return true };
            let Some(node) = self.ours.index(id) else { return true };
            let flows = self
                .ours
                .flows_out(node)
                .chain(self.ours.flows_in(node).iter().map(|&e| e as usize));
            let left: BTreeSet<String> = flows
                .map(|e| key(Table::Flows, self.ours, e))
                .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
                .filter(|at| !gone_flows.contains(at))
                .map(|at| self.id(Table::Flows, &at))
                .collect();
            if left.is_empty() {
                return true;
            }
            conflicts.push(Conflict {
                kind: "node",
                id: id.clone(),
                fields: vec![FieldConflict {
                    field: "flows".into(),
                    base: Value::Null,
                    ours: left.into_iter().collect(),
                    theirs: Value::Null,
                }],
            });
            *detach = true;
            !keep_ours
        });
        // We deleted a node to which they gave flows.
        let mut restored = Vec::new();
        changes.retain(|change| {
            let Change::Put(Record::Flow(flow)) = change else { return true };
            let missing: Vec<(&str, &String)> = [("from", &flow.from), ("to", &flow.to)]
                .into_iter()
                .filter(|(_, id)| self.ours.index(id).is_none() && !put_nodes.contains(*id))
                .collect();
            if missing.is_empty() {
                return true;
            }
            let product = flow.product.clone().unwrap_or_default();
            let at = (flow.from.clone(), flow.to.clone(), product);
            let fields = missing.iter().map(|(field, id)| FieldConflict {
                field: (*field).to_owned(),
                base: id.as_str().into(),
                ours: Value::Null,
                theirs: id.as_str().into(),
            });
            conflicts.push(Conflict {
                kind: "flow",
                id: self.id(Table::Flows, &at),
                fields: fields.collect(),
            });
            restored.extend(missing.into_iter().filter_map(|(_, id)| self.theirs.index(id)));
            !keep_ours
        });
        if !keep_ours {
            restored.sort_unstable();
            restored.dedup();
            let nodes = restored.into_iter().map(|v| Table::Nodes.record(self.theirs, v as usize));
            changes.extend(nodes.map(Change::Put));
        }
    }
}

/// A record in the parts that are merged one by one: attributes each on its own, a flow's figure
/// as one.
fn parts(table: Table, record: &Record) -> Map<String, Value> {
    let mut figure = Map::new();
    let mut out = Map::new();
    for (field, value) in object(record) {
        match value {
            Value::Object(attributes) if field == "attributes" => {
                out.extend(attributes.into_iter().map(|(n, v)| (format!("attributes.{n}"), v)));
            }
            value if table == Table::Flows && FLOW_FIGURE.contains(&field.as_str()) => {
                figure.insert(field, value);
            }
            value => drop(out.insert(field, value)),
        }
    }
    if table == Table::Flows {
        out.insert("quantity".into(), Value::Object(figure));
    }
    out
}

/// The record of such parts.
fn whole(table: Table, parts: Map<String, Value>) -> Option<Record> {
    let mut attributes = Map::new();
    let mut out = Map::new();
    for (field, value) in parts {
        if let Some(name) = field.strip_prefix("attributes.") {
            attributes.insert(name.to_owned(), value);
        } else if let (Table::Flows, "quantity", Value::Object(figure)) = (table, &*field, &value) {
            out.extend(figure.clone());
        } else {
            out.insert(field, value);
        }
    }
    if !attributes.is_empty() {
        out.insert("attributes".into(), Value::Object(attributes));
    }
    serde_json::from_value(Value::Object(out)).ok()
}

/// Merges fields three-way; a field that both sides changed differently is decided by `policy`.
fn by_field(
    base: &Map<String, Value>,
    ours: &Map<String, Value>,
    theirs: &Map<String, Value>,
    policy: OnConflict,
) -> (Map<String, Value>, Vec<FieldConflict>) {
    let names: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let (mut merged, mut conflicts) = (Map::new(), Vec::new());
    for name in names {
        let (b, o, t) = (base.get(name), ours.get(name), theirs.get(name));
        let taken = if t == b || o == t {
            o
        } else if o == b {
            t
        } else {
            let side = |value: Option<&Value>| value.cloned().unwrap_or_default();
            conflicts.push(FieldConflict {
                field: name.clone(),
                base: side(b),
                ours: side(o),
                theirs: side(t),
            });
            if policy == OnConflict::Theirs { t } else { o }
        };
        merged.extend(taken.map(|value| (name.clone(), value.clone())));
    }
    (merged, conflicts)
}
