//! The next version of a snapshot after a small change: its indexes follow, the rest stays.

use std::collections::{BTreeMap, BTreeSet};

use super::snapshot::{Snapshot, SnapshotInfo};
use crate::model::Symbol;
use crate::model::network::{Column, Edit, Moves, Shift};

/// Rows `start..start + len` (old numbering) of a column become `items`.
struct Replacement<T> {
    start: u32,
    len: u32,
    items: Vec<T>,
}

/// An old node by its row, or an entering one by its number among those.
type Node = Result<u32, usize>;

/// What happens to one consumer's arrivals.
struct Arrival {
    node: Node,
    /// Its flows in order; none if it leaves.
    flows: Vec<u32>,
}

impl Snapshot {
    /// Works in an edit that was made for this snapshot's network, which becomes the version
    /// `info`. Columns that other versions share are copied, the others changed in place.
    /// The result equals [`Snapshot::build`] over the edited network.
    pub fn edit(&mut self, edit: &Edit, info: SnapshotInfo) {
        let (old_nodes, old_flows) = edit.touched();
        let old_ends: Vec<(u32, u32)> = old_flows
            .iter()
            .map(|&e| (self.flow_from(e as usize), self.flow_to(e as usize)))
            .collect();
        let sum = self.row_sum.take();
        let before = sum.map(|sum| {
            let requirements =
                edit.requirements().filter_map(|(o, i)| self.network.requirement_row(o, i).ok());
            let flows = old_flows.iter().map(|&e| e as usize);
            sum.wrapping_sub(self.sum_of(old_nodes.iter().copied(), flows, requirements))
        });

        let moves = self.network.edit(edit);
        self.follow(&moves, &old_flows, &old_ends);
        self.info = info;
        self.fingerprint.take();

        if let Some(before) = before {
            let entered = |shift: &Shift, replaced: &[u32]| -> Vec<u32> {
                let entered = (0..shift.inserted().len()).map(|k| shift.inserted_row(k));
                entered.chain(replaced.iter().copied()).collect()
            };
            let nodes = entered(&moves.nodes, &moves.replaced_nodes);
            let flows = entered(&moves.flows, &moves.replaced_flows);
            let requirements =
                edit.requirements().filter_map(|(o, i)| self.network.requirement_row(o, i).ok());
            let flows = flows.into_iter().map(|e| e as usize);
            let after = self.sum_of(nodes.into_iter(), flows, requirements);
            let _ = self.row_sum.set(before.wrapping_add(after));
        }
    }

    fn follow(&mut self, moves: &Moves, old_flows: &[u32], old_ends: &[(u32, u32)]) {
        let Moves { nodes, flows, replaced_flows, .. } = moves;
        let entered: Vec<u32> =
            (0..flows.inserted().len()).map(|k| flows.inserted_row(k)).collect();
        if !nodes.is_empty() || !flows.is_empty() {
            let arrivals = self.changed_arrivals(nodes, flows, old_flows, old_ends, &entered);
            let suppliers = self.changed_suppliers(nodes, flows, old_flows, old_ends, &entered);
            shift_offsets(&mut self.out_start, nodes, &suppliers.0, &suppliers.1);
            self.place_arrivals(nodes, flows, &arrivals);
        }

        // Sums of the nodes whose flows changed.
        let none = vec![0.0; nodes.inserted().len()];
        self.out_strength.splice(nodes, &none);
        self.in_strength.splice(nodes, &none);
        let stay = |v: u32| (!nodes.removes(v)).then(|| nodes.row(v));
        let ends = |e: u32| (self.flow_from(e as usize), self.flow_to(e as usize));
        let written = entered.iter().chain(replaced_flows).map(|&e| ends(e));
        let written: Vec<(u32, u32)> = written.collect();
        let from: BTreeSet<u32> = old_ends
            .iter()
            .filter_map(|end| stay(end.0))
            .chain(written.iter().map(|end| end.0))
            .collect();
        let to: BTreeSet<u32> = old_ends
            .iter()
            .filter_map(|end| stay(end.1))
            .chain(written.iter().map(|end| end.1))
            .collect();
        for v in from {
            // In the order of the flows, as when built: sums are equal to the last bit.
            let sum = self.flows_out(v).map(|e| self.quantity(e)).fold(0.0, |a, b| a + b);
            set(&mut self.out_strength, v, sum);
        }
        for v in to {
            let mut flows = self.flows_in(v).to_vec();
            flows.sort_unstable();
            let sum = flows.iter().map(|&e| self.quantity(e as usize)).fold(0.0, |a, b| a + b);
            set(&mut self.in_strength, v, sum);
        }
    }

    /// How many more flows leave each old node, and how many leave each entering one.
    fn changed_suppliers(
        &self,
        nodes: &Shift,
        flows: &Shift,
        old_flows: &[u32],
        old_ends: &[(u32, u32)],
        entered: &[u32],
    ) -> (BTreeMap<u32, i64>, Vec<u32>) {
        let mut more: BTreeMap<u32, i64> = BTreeMap::new();
        for (&e, end) in old_flows.iter().zip(old_ends) {
            if flows.removes(e) {
                *more.entry(end.0).or_default() -= 1;
            }
        }
        let back = Back::new(nodes);
        let mut fresh = vec![0; nodes.inserted().len()];
        for &e in entered {
            match back.find(self.flow_from(e as usize)) {
                Ok(old) => *more.entry(old).or_default() += 1,
                Err(k) => fresh[k] += 1,
            }
        }
        (more, fresh)
    }

    /// The new arrivals of every consumer that gains or loses some, in the order of the nodes.
    fn changed_arrivals(
        &self,
        nodes: &Shift,
        flows: &Shift,
        old_flows: &[u32],
        old_ends: &[(u32, u32)],
        entered: &[u32],
    ) -> Vec<Arrival> {
        let back = Back::new(nodes);
        let mut gained: BTreeMap<Node, Vec<u32>> = BTreeMap::new();
        for (&e, end) in old_flows.iter().zip(old_ends) {
            if flows.removes(e) {
                gained.entry(Ok(end.1)).or_default();
            }
        }
        for &e in entered {
            gained.entry(back.find(self.flow_to(e as usize))).or_default().push(e);
        }
        let name = |e: u32| self.name(self.network.flows.product[e as usize]);
        let mut all: Vec<Arrival> = gained
            .into_iter()
            .map(|(node, fresh)| {
                let mut list: Vec<u32> = match node {
                    Ok(row) => self
                        .flows_in(row)
                        .iter()
                        .filter(|&&e| !flows.removes(e))
                        .map(|&e| flows.row(e))
                        .collect(),
                    Err(_) => Vec::new(),
                };
                for e in fresh {
                    let place = list.partition_point(|&a| (name(a), a) < (name(e), e));
                    list.insert(place, e);
                }
                Arrival { node, flows: list }
            })
            .collect();
        // Entering nodes stand before the row that they name.
        all.sort_by_key(|a| match a.node {
            Err(k) => (nodes.inserted()[k], false, k),
            Ok(row) => (row, true, 0),
        });
        all
    }

    fn place_arrivals(&mut self, nodes: &Shift, flows: &Shift, changed: &[Arrival]) {
        let products = |list: &[u32]| -> Vec<(u32, Symbol)> {
            let product = |e: u32| self.network.flows.product[e as usize];
            let mut groups: Vec<(u32, Symbol)> = Vec::new();
            for (k, &e) in list.iter().enumerate() {
                if groups.last().is_none_or(|last| last.1 != product(e)) {
                    groups.push((k as u32, product(e)));
                }
            }
            groups
        };
        let mut more_arrivals: BTreeMap<u32, i64> = BTreeMap::new();
        let mut more_groups: BTreeMap<u32, i64> = BTreeMap::new();
        let mut fresh: Vec<(u32, u32)> = vec![(0, 0); nodes.inserted().len()];
        let mut lists: Vec<Replacement<u32>> = Vec::new();
        let mut suppliers: Vec<Replacement<u32>> = Vec::new();
        let mut groups: Vec<Replacement<(u32, Symbol)>> = Vec::new();
        let mut moved = 0i64;
        // Group starts between two changed consumers move together.
        let mut done = 0usize;
        let mut starts = Vec::new();
        for arrival in changed {
            let row = arrival.node.unwrap_or_else(|k| nodes.inserted()[k]) as usize;
            let first = self.in_start[row];
            let first_group = self.node_group[row];
            let (len, group_len) = match arrival.node {
                Ok(_) => (self.in_start[row + 1] - first, self.node_group[row + 1] - first_group),
                Err(_) => (0, 0),
            };
            starts.push((done..first_group as usize, moved));
            done = (first_group + group_len) as usize;
            let place = (i64::from(first) + moved) as u32;
            let own: Vec<(u32, Symbol)> =
                products(&arrival.flows).into_iter().map(|(k, p)| (place + k, p)).collect();
            let more = arrival.flows.len() as i64 - i64::from(len);
            match arrival.node {
                Err(k) => fresh[k] = (arrival.flows.len() as u32, own.len() as u32),
                Ok(row) => {
                    more_arrivals.insert(row, more);
                    more_groups.insert(row, own.len() as i64 - i64::from(group_len));
                }
            }
            moved += more;
            let from = |&e: &u32| self.network.flows.from[e as usize];
            suppliers.push(Replacement {
                start: first,
                len,
                items: arrival.flows.iter().map(from).collect(),
            });
            lists.push(Replacement { start: first, len, items: arrival.flows.clone() });
            groups.push(Replacement { start: first_group, len: group_len, items: own });
        }
        starts.push((done..self.group_start.len(), moved));
        let group_starts = part(&groups, |group| group.0);
        let group_products = part(&groups, |group| group.1);

        let Self { in_flow, in_from, group_start, group_product, in_start, node_group, .. } = self;
        rayon::join(
            || {
                if !flows.is_empty() {
                    flows.renumber(in_flow.to_mut());
                }
                replace(in_flow, lists);
                add(group_start, starts);
                replace(group_start, group_starts);
            },
            || {
                if !nodes.is_empty() {
                    nodes.renumber(in_from.to_mut());
                }
                replace(in_from, suppliers);
                replace(group_product, group_products);
                let sizes: Vec<u32> = fresh.iter().map(|f| f.0).collect();
                shift_offsets(in_start, nodes, &more_arrivals, &sizes);
                let sizes: Vec<u32> = fresh.iter().map(|f| f.1).collect();
                shift_offsets(node_group, nodes, &more_groups, &sizes);
            },
        );
    }
}

/// Finds old rows of new ones.
struct Back<'a> {
    shift: &'a Shift,
    entered: Vec<u32>,
}

impl<'a> Back<'a> {
    fn new(shift: &'a Shift) -> Self {
        let entered = (0..shift.inserted().len()).map(|k| shift.inserted_row(k)).collect();
        Self { shift, entered }
    }

    fn find(&self, row: u32) -> Node {
        let before = match self.entered.binary_search(&row) {
            Ok(k) => return Err(k),
            Err(before) => before as u32,
        };
        // Its place among the rows that stay, then the removed rows before it.
        let mut old = row - before;
        for &removed in self.shift.removed() {
            if removed > old {
                break;
            }
            old += 1;
        }
        Ok(old)
    }
}

fn set(column: &mut Column<f64>, row: u32, value: f64) {
    if column[row as usize].to_bits() != value.to_bits() {
        column.to_mut()[row as usize] = value;
    }
}

/// One of the two parts of grouped items.
fn part<T: Copy>(
    of: &[Replacement<(u32, Symbol)>],
    take: impl Fn(&(u32, Symbol)) -> T,
) -> Vec<Replacement<T>> {
    of.iter()
        .map(|r| Replacement {
            start: r.start,
            len: r.len,
            items: r.items.iter().map(&take).collect(),
        })
        .collect()
}

/// Adds to ranges of a column.
fn add(column: &mut Column<u32>, ranges: Vec<(std::ops::Range<usize>, i64)>) {
    for (range, by) in ranges {
        if by != 0 && !range.is_empty() {
            let by = by as u32;
            column.to_mut()[range].iter_mut().for_each(|value| *value = value.wrapping_add(by));
        }
    }
}

/// Replaces ranges, given in order.
fn replace<T: Copy + PartialEq>(column: &mut Column<T>, replacements: Vec<Replacement<T>>) {
    let (mut removed, mut inserted, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for r in &replacements {
        let (start, len) = (r.start as usize, r.len as usize);
        let same = len.min(r.items.len());
        if column[start..start + same] != r.items[..same] {
            column.to_mut()[start..start + same].copy_from_slice(&r.items[..same]);
        }
        let end = r.start + r.len;
        removed.extend(r.start + same as u32..end);
        inserted.extend(std::iter::repeat_n(end, r.items.len() - same));
        items.extend_from_slice(&r.items[same..]);
    }
    column.splice(&Shift::new(removed, inserted), &items);
}

/// Follows nodes and sizes in a column of starts: the parts of old nodes grow by `more`, entering
/// nodes have parts of the sizes `fresh`.
fn shift_offsets(
    starts: &mut Column<u32>,
    nodes: &Shift,
    more: &BTreeMap<u32, i64>,
    fresh: &[u32],
) {
    if nodes.is_empty() && more.values().all(|&m| m == 0) {
        return;
    }
    let mut ranges = Vec::with_capacity(more.len() + fresh.len() + 1);
    let mut items = Vec::with_capacity(fresh.len());
    let (mut moved, mut done) = (0i64, 0usize);
    let mut more = more.iter().peekable();
    let mut entering = nodes.inserted().iter().zip(fresh).peekable();
    loop {
        let grows = more.peek().map(|(row, _)| **row);
        match entering.peek() {
            Some((place, size)) if grows.is_none_or(|row| **place <= row) => {
                let place = **place as usize;
                ranges.push((done..place.max(done), moved));
                done = done.max(place);
                items.push((i64::from(starts[place]) + moved) as u32);
                moved += i64::from(**size);
                entering.next();
            }
            _ => {
                let Some((&row, &by)) = more.next() else { break };
                ranges.push((done..row as usize + 1, moved));
                done = row as usize + 1;
                moved += by;
            }
        }
    }
    ranges.push((done..starts.len(), moved));
    add(starts, ranges);
    starts.splice(nodes, &items);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::change::{FlowKey, RecordKey};
    use crate::model::network::Draft;
    use crate::model::{
        Change, Figure, FlowRecord, Network, NetworkBuilder, NodeRecord, Record, RequirementRecord,
        Rule,
    };

    const IDS: [&str; 7] = ["a", "b", "bb", "c", "d", "e", "zz"];
    const PRODUCTS: [&str; 4] = ["a", "gold", "m", "zinc"];

    fn node() -> impl Strategy<Value = NodeRecord> {
        let figure = prop::option::of((1..9u8, prop::option::of(0..3i32)).prop_map(|(v, y)| {
            let low = (v > 5).then(|| f64::from(v) - 1.0);
            Figure { year: y, low, ..Figure::bare(f64::from(v)) }
        }));
        let product = prop::option::of(prop::sample::select(&PRODUCTS[..]));
        (prop::sample::select(&IDS[..]), product, figure.clone(), figure, any::<bool>()).prop_map(
            |(id, product, output, capacity, attribute)| {
                let mut node = NodeRecord {
                    product: product.map(str::to_owned),
                    output,
                    capacity,
                    ..NodeRecord::new(id)
                };
                if attribute {
                    node.attributes.insert("k".into(), id.into());
                }
                node
            },
        )
    }

    fn flow() -> impl Strategy<Value = FlowRecord> {
        let id = || prop::sample::select(&IDS[..]);
        let product = prop::option::of(prop::sample::select(&PRODUCTS[..]));
        let rest = (any::<bool>(), prop::option::of(1..50u8), any::<bool>());
        (id(), id(), product, 1..9u8, rest).prop_map(|(from, to, product, q, rest)| {
            let (joint, capacity, range) = rest;
            FlowRecord {
                product: product.map(str::to_owned),
                joint,
                capacity: capacity.map(|c| f64::from(c) + 10.0),
                high: range.then(|| f64::from(q) + 0.1),
                ..FlowRecord::new(from, to, f64::from(q) / 7.0)
            }
        })
    }

    fn change() -> impl Strategy<Value = Change> {
        let id = || prop::sample::select(&IDS[..]);
        let product = || prop::sample::select(&PRODUCTS[..]);
        prop_oneof![
            3 => node().prop_map(Change::from),
            6 => flow().prop_map(Change::from),
            2 => (id(), any::<bool>()).prop_map(|(id, detach)| {
                Change::Delete(RecordKey::Node { id: id.into(), detach })
            }),
            3 => (id(), id(), prop::option::of(product())).prop_map(|(from, to, product)| {
                let product = product.map(str::to_owned);
                Change::Delete(RecordKey::Flow(FlowKey { from: from.into(), to: to.into(), product }))
            }),
            1 => (product(), product(), any::<bool>()).prop_map(|(output, input, put)| {
                let (output, input) = (output.to_owned(), input.to_owned());
                if !put {
                    return Change::Delete(RecordKey::Requirement { output, input });
                }
                RequirementRecord {
                    output,
                    input,
                    rule: Rule::Limiting,
                    dependence: Some(Figure::bare(0.5)),
                    min_share: None,
                    intensity: None,
                }
                .into()
            }),
        ]
    }

    /// The plainest store of records that there is: what a batch means, word by word.
    #[derive(Clone, Default)]
    struct Model {
        nodes: BTreeMap<String, NodeRecord>,
        flows: BTreeMap<(String, String, String), FlowRecord>,
        requirements: BTreeMap<(String, String), RequirementRecord>,
    }

    impl Model {
        fn product(&self, id: &str) -> Option<String> {
            let node = self.nodes.get(id)?;
            Some(node.product.clone().unwrap_or_else(|| id.to_owned()))
        }

        fn apply(&self, batch: &[Change]) -> Option<Self> {
            let mut next = self.clone();
            let mut deleted: BTreeMap<&str, bool> = BTreeMap::new();
            for change in batch {
                match change {
                    Change::Put(Record::Node(node)) => {
                        deleted.remove(node.id.as_str());
                        next.nodes.insert(node.id.clone(), node.clone());
                    }
                    Change::Delete(RecordKey::Node { id, detach }) => {
                        next.nodes.remove(id)?;
                        deleted.insert(id, *detach);
                    }
                    Change::Put(Record::Requirement(r)) => {
                        next.requirements.insert((r.output.clone(), r.input.clone()), r.clone());
                    }
                    Change::Delete(RecordKey::Requirement { output, input }) => {
                        next.requirements.remove(&(output.clone(), input.clone()))?;
                    }
                    _ => {}
                }
            }
            for change in batch {
                match change {
                    Change::Put(Record::Flow(f)) => {
                        next.nodes.get(&f.from)?;
                        next.nodes.get(&f.to)?;
                        let product = f.product.clone().or_else(|| next.product(&f.from))?;
                        next.flows.insert((f.from.clone(), f.to.clone(), product), f.clone());
                    }
                    Change::Delete(RecordKey::Flow(k)) => {
                        let own = next.product(&k.from).or_else(|| self.product(&k.from));
                        let product = k.product.clone().or(own)?;
                        next.flows.remove(&(k.from.clone(), k.to.clone(), product))?;
                    }
                    _ => {}
                }
            }
            for (id, detach) in deleted {
                let touches = |key: &(String, String, String)| key.0 == id || key.1 == id;
                if !detach && next.flows.keys().any(touches) {
                    return None;
                }
                next.flows.retain(|key, _| !touches(key));
            }
            Some(next)
        }

        fn network(&self) -> Network {
            let mut builder = NetworkBuilder::new();
            for node in self.nodes.values() {
                builder.add_node(node, 0).unwrap();
            }
            for (key, flow) in &self.flows {
                builder.add_flow(&FlowRecord { product: Some(key.2.clone()), ..flow.clone() }, 0);
            }
            for requirement in self.requirements.values() {
                builder.add_requirement(requirement).unwrap();
            }
            builder.finish().unwrap()
        }
    }

    fn build(network: Network) -> Snapshot {
        Snapshot::build(network, SnapshotInfo::default(), Default::default())
    }

    fn records(network: &Network) -> Vec<Record> {
        network.records().collect()
    }

    fn same(edited: &Snapshot, built: &Snapshot) -> Result<(), TestCaseError> {
        prop_assert_eq!(records(&edited.network), records(&built.network));
        prop_assert_eq!(&edited.out_start, &built.out_start);
        prop_assert_eq!(&edited.in_start, &built.in_start);
        prop_assert_eq!(&edited.in_flow, &built.in_flow);
        prop_assert_eq!(&edited.in_from, &built.in_from);
        prop_assert_eq!(&edited.node_group, &built.node_group);
        prop_assert_eq!(&edited.group_start, &built.group_start);
        let names = |s: &Snapshot| -> Vec<String> {
            s.group_product.iter().map(|&p| s.name(p).to_owned()).collect()
        };
        prop_assert_eq!(names(edited), names(built));
        let bits = |column: &Column<f64>| column.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&edited.out_strength), bits(&built.out_strength));
        prop_assert_eq!(bits(&edited.in_strength), bits(&built.in_strength));
        prop_assert_eq!(edited.fingerprint(), built.fingerprint());
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::laws::cases(400))]

        #[test]
        fn edits_equal_what_is_built_anew(
            batches in prop::collection::vec(prop::collection::vec(change(), 1..12), 1..8),
            together in 1usize..4,
            shared in any::<bool>(),
        ) {
            let mut model = Model::default();
            let mut snapshot = Arc::new(build(Network::default()));
            for group in batches.chunks(together) {
                snapshot.fingerprint();
                let mut draft =
                    Draft::with_arrivals(&snapshot.network, &snapshot.in_start, &snapshot.in_flow);
                let mut plain = Draft::new(&snapshot.network);
                for batch in group {
                    let expected = model.apply(batch);
                    let accepted = draft.push(batch);
                    prop_assert_eq!(accepted.is_ok(), expected.is_some(), "{:?}", accepted);
                    prop_assert_eq!(plain.push(batch), accepted);
                    model = expected.unwrap_or(model);
                    let counts = draft.counts();
                    prop_assert_eq!(counts.nodes, model.nodes.len() as u64);
                    prop_assert_eq!(counts.flows, model.flows.len() as u64);
                    prop_assert_eq!(counts.requirements, model.requirements.len() as u64);
                }
                let edit = draft.finish();
                prop_assert_eq!(&plain.finish(), &edit);
                let kept = shared.then(|| snapshot.clone());
                let before = kept.as_ref().map(|kept| records(&kept.network));
                let mut next = Snapshot::clone(&snapshot);
                if !shared {
                    drop(snapshot);
                }
                next.edit(&edit, SnapshotInfo::default());
                same(&next, &build(model.network()))?;
                // Whoever holds the version before sees nothing of it.
                prop_assert_eq!(kept.map(|kept| records(&kept.network)), before);
                snapshot = Arc::new(next);
            }
        }
    }
}
