//! The store against a plain map of networks: any sequence of operations, on disk and in memory.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use chokepoint::model::change::{FlowKey, RecordKey};
use chokepoint::model::{
    Change, Figure, FigureClass, FlowRecord, GraphSettings, Network, NodeRecord, Record,
    RequirementRecord, Retention, Rule,
};
use chokepoint::store::{CommitMeta, DocumentKind, Store, StoreError, StoreOptions};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Fork(u8, u8, u8),
    Commit(u8, Vec<Change>),
    Replace(u8, u8),
    Compact(u8),
    Retain(u8, u8),
    Delete(u8),
    Document(u8, usize),
    Reopen,
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u8..12).prop_map(|i| format!("n{i}")),
        (0u8..3).prop_map(|i| format!("nœud-{}-{i}", "x".repeat(200))),
    ]
}

fn product() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![Just("p".to_owned()), Just("q".to_owned()), Just("n1".to_owned())])
}

fn figure() -> impl Strategy<Value = Figure> {
    (0.0..1e6f64, any::<bool>(), any::<bool>(), 0u8..4, prop::option::of(1990i32..2030)).prop_map(
        |(value, low, high, class, year)| Figure {
            value,
            low: low.then_some(value / 3.0),
            high: high.then_some(value * 1.5),
            unit: (class > 0).then(|| "t/a".to_owned()),
            year,
            class: FigureClass::ALL.get(class as usize).copied(),
            source: (class > 1).then(|| format!("source {class}")),
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let node = (id(), product(), prop::option::of(figure()), any::<bool>(), 0usize..1500).prop_map(
        |(id, product, output, stage, attribute)| {
            let mut node = NodeRecord { product, output, ..NodeRecord::new(id) };
            node.stage = stage.then(|| "refine".to_owned());
            node.capacity = node.output.clone().filter(|f| f.value > 5e5);
            if attribute > 1000 {
                node.attributes.insert("long".into(), "é".repeat(attribute).into());
            }
            Change::from(node)
        },
    );
    let flow = (id(), id(), product(), figure(), any::<bool>()).prop_map(
        |(from, to, product, f, extra)| {
            let mut flow = FlowRecord { quantity: f, product, ..FlowRecord::new(from, to, 0.0) };
            if extra {
                flow.capacity = Some(flow.quantity.value * 2.0);
                flow.lead_days = Some(12.5);
                flow.joint = true;
                flow.attributes.insert("owner".into(), serde_json::json!(["CHN", 1, true, 0.1]));
            }
            Change::from(flow)
        },
    );
    let requirement =
        (product(), product(), prop::option::of(0.0..1.0f64)).prop_map(|(o, i, d)| {
            Change::from(RequirementRecord {
                output: o.unwrap_or_else(|| "p".into()),
                input: i.unwrap_or_else(|| "q".into()),
                rule: Rule::Limiting,
                dependence: d.map(Figure::bare),
                ..Default::default()
            })
        });
    let delete_node = (id(), any::<bool>())
        .prop_map(|(id, detach)| Change::Delete(RecordKey::Node { id, detach }));
    let delete_flow = (id(), id(), product()).prop_map(|(from, to, product)| {
        Change::Delete(RecordKey::Flow(FlowKey { from, to, product }))
    });
    prop_oneof![5 => node, 6 => flow, 1 => requirement, 1 => delete_node, 2 => delete_flow]
}

fn step() -> impl Strategy<Value = Step> {
    let g = 0u8..3;
    prop_oneof![
        3 => g.clone().prop_map(Step::Create),
        2 => (g.clone(), g.clone(), any::<u8>()).prop_map(|(a, b, v)| Step::Fork(a, b, v)),
        12 => (g.clone(), prop::collection::vec(change(), 0..5)).prop_map(|(a, c)| Step::Commit(a, c)),
        1 => (g.clone(), g.clone()).prop_map(|(a, b)| Step::Replace(a, b)),
        2 => g.clone().prop_map(Step::Compact),
        1 => (g.clone(), 0u8..6).prop_map(|(a, n)| Step::Retain(a, n)),
        1 => g.clone().prop_map(Step::Delete),
        1 => (0u8..4, 0usize..20_000).prop_map(|(k, n)| Step::Document(k, n)),
        1 => Just(Step::Reopen),
    ]
}

/// The records of a network as text: what users see of it.
fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r: Record| serde_json::to_string(&r).unwrap()).collect()
}

#[derive(Default, Clone)]
struct Model {
    versions: BTreeMap<u64, (Network, Option<Vec<Change>>)>,
    head: u64,
    retention: Retention,
    /// Versions that some compaction or replacement was free to give up.
    given_up: BTreeSet<u64>,
}

impl Model {
    fn new(network: Network, changes: Option<Vec<Change>>) -> Self {
        Self { versions: [(0, (network, changes))].into(), ..Self::default() }
    }

    fn retire(&mut self) {
        let gone = self.versions.keys().filter(|v| !self.retention.keeps(**v, self.head));
        self.given_up.extend(gone);
    }
}

fn same(store: &Store, models: &BTreeMap<String, Model>) {
    let names: Vec<String> = store.graphs().unwrap().into_iter().map(|g| g.name).collect();
    assert_eq!(names, models.keys().cloned().collect::<Vec<_>>());
    for (name, model) in models {
        let head = store.graph(name).unwrap();
        assert_eq!(head.version, model.head);
        let kept: Vec<u64> = store.versions(name).unwrap().iter().map(|v| v.version).collect();
        assert!(kept.contains(&model.head));
        for (version, (network, changes)) in &model.versions {
            match store.load(name, Some(*version)) {
                Ok((loaded, info)) => {
                    assert_eq!(lines(&loaded), lines(network), "{name} at {version}");
                    assert_eq!(info.counts.nodes as usize, network.node_count());
                    assert_eq!(&store.changes(name, *version).unwrap(), changes);
                }
                Err(StoreError::NoSuchVersion { .. }) => {
                    assert!(model.given_up.contains(version), "{name} lost {version}");
                    assert!(!kept.contains(version), "{name} lists {version}");
                }
                Err(other) => panic!("{name} at {version}: {other}"),
            }
        }
    }
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

fn run(steps: Vec<Step>, dir: Option<&std::path::Path>) {
    let open = || match dir {
        Some(dir) => Store::open(dir, StoreOptions::default()).unwrap(),
        None => Store::in_memory(),
    };
    let mut store = open();
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    let mut documents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let name = |g: u8| format!("graph-{g}");
    let settings = GraphSettings::default();
    for (time, step) in steps.into_iter().enumerate() {
        let time = time as i64;
        let meta = CommitMeta { author: Some("a".into()), message: None, time_ms: time };
        match step {
            Step::Create(g) => {
                let result = store.create(&name(g), &settings, time);
                assert_eq!(result.is_ok(), !models.contains_key(&name(g)));
                models
                    .entry(name(g))
                    .or_insert_with(|| Model::new(Network::default(), Some(Vec::new())));
            }
            Step::Fork(g, from, at) => {
                let Some(source) = models.get(&name(from)) else {
                    let error = store.fork(&name(g), &settings, &name(from), None, time);
                    assert!(error.is_err());
                    continue;
                };
                let at = u64::from(at) % (source.head + 1);
                let result = store.fork(&name(g), &settings, &name(from), Some(at), time);
                if models.contains_key(&name(g)) {
                    assert!(matches!(result, Err(StoreError::NameTaken { .. })));
                    continue;
                }
                match result {
                    Ok(head) => {
                        assert_eq!(head.forked_from, Some((name(from), at)));
                        let start = source.versions[&at].0.clone();
                        models.insert(name(g), Model::new(start, None));
                    }
                    Err(StoreError::NoSuchVersion { .. }) => {
                        assert!(source.given_up.contains(&at));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            Step::Commit(g, changes) => {
                let Some(model) = models.get_mut(&name(g)) else { continue };
                let now = &model.versions[&model.head].0;
                // Changes that cannot be applied are the service's to refuse.
                let mut accepted: Vec<Change> = Vec::new();
                for change in changes {
                    accepted.push(change);
                    if now.apply(&accepted).is_err() {
                        accepted.pop();
                    }
                }
                let next = now.apply(&accepted).unwrap();
                let stale = store.commit(&name(g), model.head + 7, &accepted, &next, meta.clone());
                assert!(matches!(stale, Err(StoreError::Conflict { .. })));
                let info = store.commit(&name(g), model.head, &accepted, &next, meta).unwrap();
                assert_eq!(info.version, model.head + 1);
                model.head = info.version;
                model.versions.insert(info.version, (next, Some(accepted)));
            }
            Step::Replace(g, like) => {
                let Some(other) = models.get(&name(like)).cloned() else { continue };
                let Some(model) = models.get_mut(&name(g)) else { continue };
                let network = other.versions[&other.head].0.clone();
                let info = store.replace(&name(g), model.head, &network, meta).unwrap();
                model.head = info.version;
                model.versions.insert(info.version, (network, None));
                model.retire();
            }
            Step::Compact(g) => {
                assert_eq!(store.compact(&name(g)).is_ok(), models.contains_key(&name(g)));
                models.entry(name(g)).and_modify(Model::retire);
            }
            Step::Retain(g, last) => {
                if let Some(model) = models.get_mut(&name(g)) {
                    let retention = Retention {
                        last: Some(last.into()),
                        versions: vec![1],
                        ..Retention::default()
                    };
                    model.retention = retention.clone();
                    let settings = GraphSettings { retention, ..settings.clone() };
                    store.update_settings(&name(g), &settings, time).unwrap();
                }
            }
            Step::Delete(g) => {
                let known = models.remove(&name(g)).is_some();
                assert_eq!(store.delete(&name(g)).is_ok(), known);
            }
            Step::Document(key, size) => {
                let (key, value) = (format!("k{key}"), vec![key; size]);
                if size < 2_000 {
                    let known = documents.remove(&key).is_some();
                    let gone = store.delete_document(DocumentKind::Scenario, &key).unwrap();
                    assert_eq!(gone, known);
                } else {
                    store.put_document(DocumentKind::Scenario, &key, &value).unwrap();
                    documents.insert(key, value);
                }
            }
            Step::Reopen => {
                if dir.is_some() {
                    drop(store);
                    store = open();
                }
            }
        }
    }
    same(&store, &models);
    if dir.is_some() {
        drop(store);
        store = open();
        same(&store, &models);
    }
    let stored = store.documents(DocumentKind::Scenario, "k").unwrap();
    assert_eq!(stored, documents.into_iter().collect::<Vec<_>>());
    assert!(store.documents(DocumentKind::Answer, "").unwrap().is_empty());
}

proptest! {
    #![proptest_config(crate::laws::cases(200))]
    #[test]
    fn in_memory_equals_the_model(steps in prop::collection::vec(step(), 1..50)) {
        run(steps, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..crate::laws::cases(24) })]
    #[test]
    fn on_disk_equals_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        run(steps, Some(dir.path()));
    }
}
