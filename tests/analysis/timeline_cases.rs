//! Worked cases of the daily inventory model against a published reference program
//! (tests/cases/cascade/README.md): totals and groups of every day, nodes of some days.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::analysis::timeline::{self, Record, Setting, View};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{
    Compatibility, Mode, ModelOptions, Rationing, RationingRule, Recovery, RecoveryShape, Shock,
    Target, TimeStep, TimelineOptions,
};
use chokepoint::model::selector::OneOrMany;
use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord, Selector};
use serde_json::Value;

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    reader.deserialize().map(Result::unwrap).collect()
}

struct Case {
    dir: PathBuf,
    about: Value,
    snapshot: Arc<Snapshot>,
    final_demand: BTreeMap<String, f64>,
    shocks: Shocks,
    groups: Vec<Target>,
}

impl Case {
    fn load(dir: PathBuf) -> Self {
        let about: Value =
            serde_json::from_str(&std::fs::read_to_string(dir.join("case.json")).unwrap()).unwrap();
        let mut builder = NetworkBuilder::new();
        let mut final_demand = BTreeMap::new();
        for row in rows(&dir.join("nodes.csv")) {
            let product = Some(format!("p{}", row["product"]));
            builder.add_node(&NodeRecord { product, ..NodeRecord::new(&row["node"]) }, 0).unwrap();
            final_demand.insert(row["node"].clone(), row["final_demand"].parse().unwrap());
        }
        for row in rows(&dir.join("edges.csv")) {
            let weight = row["weight"].parse().unwrap();
            builder.add_flow(&FlowRecord::new(&row["supplier"], &row["buyer"], weight), 0);
        }
        let snapshot = Arc::new(Snapshot::build(
            builder.finish().unwrap(),
            SnapshotInfo::default(),
            Arc::default(),
        ));
        let recovery = about["recovery_days"].as_f64().filter(|d| *d > 0.0);
        let shocks: Vec<Shock> = rows(&dir.join("shocks.csv"))
            .iter()
            .map(|row| Shock {
                select: Some(Selector::node(&row["node"])),
                loss: Some(row["capacity_loss"].parse().unwrap()),
                from_day: Some(row["start_day"].parse().unwrap()),
                days: recovery.and_then(|_| about["hold_days_before_recovery"].as_f64()),
                recovery: recovery.map(|days| Recovery { shape: RecoveryShape::Linear, days }),
                ..Shock::default()
            })
            .collect();
        let shocks = Shocks::compile(&snapshot, &shocks).unwrap();
        let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows(&dir.join("groups.csv")) {
            members.entry(row["group"].clone()).or_default().push(row["node"].clone());
        }
        let groups = members
            .into_iter()
            .map(|(name, nodes)| Target {
                name,
                select: Selector { node: OneOrMany(nodes), ..Selector::default() },
            })
            .collect();
        Self { dir, about, snapshot, final_demand, shocks, groups }
    }

    fn model(&self, mode: u64) -> ImpactModel {
        let rule = if mode == 1 { RationingRule::Priority } else { RationingRule::Proportional };
        let options = ModelOptions {
            mode: Mode::Timeline,
            compat: Some(Compatibility::InoueTodo),
            rationing: Some(Rationing { rule, ..Rationing::default() }),
            timeline: Some(TimelineOptions {
                step: TimeStep::Day,
                horizon_days: Some(self.about["steps"].as_u64().unwrap() as u32),
                stock_days: self.about["cover_days"].as_f64(),
                refill_days: self.about["tau"].as_f64(),
                final_demand: self.final_demand.clone(),
                ..TimelineOptions::default()
            }),
            ..ModelOptions::default()
        };
        ImpactModel::new(self.snapshot.clone(), &options, &[]).unwrap()
    }

    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cascade");
        let mut dirs: Vec<PathBuf> = std::fs::read_dir(root)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.join("shocks.csv").exists())
            .collect();
        dirs.sort();
        assert!(!dirs.is_empty(), "the worked cases are part of the repository");
        dirs.into_iter().map(Self::load).collect()
    }
}

fn near(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let error = (ours - theirs).abs() / theirs.abs().max(1.0);
    assert!(error <= tolerance, "{what}: {ours} instead of {theirs}");
}

#[test]
fn totals_and_groups_of_every_day_equal_the_reference() {
    for case in Case::all() {
        for mode in case.about["rationing_modes"].as_array().unwrap() {
            let mode = mode.as_u64().unwrap();
            let model = case.model(mode);
            let setting = Setting::new(&model, &[], true).unwrap();
            // What a group makes: its nodes weighed with their baseline output.
            let groups: Vec<TargetNodes> = case
                .groups
                .iter()
                .map(|t| {
                    let mut t = TargetNodes::resolve(&case.snapshot, t, "targets").unwrap();
                    for (v, w) in &mut t.nodes {
                        *w = setting.output[*v as usize];
                    }
                    t.baseline = t.nodes.iter().map(|n| n.1).sum();
                    t
                })
                .collect();
            let path =
                timeline::path(&model, &case.shocks, &[], true, &groups, &Progress::silent())
                    .unwrap();
            let expected = case.dir.join(format!("expected_daily_rationing{mode}.csv"));
            let mut days = 0;
            for row in rows(&expected) {
                let day: i64 = row["day"].parse().unwrap();
                let totals = if day < 0 { path.baseline } else { path.totals[day as usize] };
                let what = |of: &str| format!("{:?} mode {mode} day {day} {of}", case.dir);
                for (name, value) in [
                    ("total_production", totals.production),
                    ("value_added", totals.value_added),
                    ("final_consumption", totals.final_consumption),
                ] {
                    near(value, row[name].parse().unwrap(), 1e-9, &what(name));
                }
                for (group, path) in groups.iter().zip(&path.targets) {
                    let made = if day < 0 { group.baseline } else { path.production[day as usize] };
                    near(made, row[&group.name].parse().unwrap(), 1e-9, &what(&group.name));
                }
                days += 1;
            }
            assert_eq!(days, path.steps + 1);
        }
    }
}

struct Production<'a> {
    expected: &'a BTreeMap<(usize, String), f64>,
    checked: usize,
}

impl Record for Production<'_> {
    fn step(&mut self, view: &View<'_>) {
        let snapshot = view.setting.model.snapshot();
        for v in snapshot.nodes() {
            let key = (view.step, snapshot.id(v).to_owned());
            if let Some(&theirs) = self.expected.get(&key) {
                let ours = view.setting.output[v as usize] * (1.0 - view.change(v));
                near(ours, theirs, 1e-5, &format!("{key:?}"));
                self.checked += 1;
            }
        }
    }
}

#[test]
fn nodes_of_some_days_equal_the_reference() {
    for case in Case::all() {
        for mode in case.about["rationing_modes"].as_array().unwrap() {
            let mode = mode.as_u64().unwrap();
            let file = case.dir.join(format!("expected_snapshot_rationing{mode}.csv"));
            let expected: BTreeMap<(usize, String), f64> = rows(&file)
                .into_iter()
                .filter(|r| !r["day"].starts_with('-'))
                .map(|r| {
                    (
                        (r["day"].parse().unwrap(), r["node"].clone()),
                        r["production"].parse().unwrap(),
                    )
                })
                .collect();
            let model = case.model(mode);
            let setting = Setting::new(&model, &[], true).unwrap();
            let mut record = Production { expected: &expected, checked: 0 };
            timeline::run(&setting, &case.shocks, &[], &mut record, &Progress::silent()).unwrap();
            assert_eq!(record.checked, expected.len());
        }
    }
}
