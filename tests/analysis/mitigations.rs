//! Mitigation on small networks worked out by hand: new supply, second sources, stocks,
//! substitutes, eased restrictions; and combination where inputs bind together.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactModel, Shocks, TargetNodes};
use chokepoint::analysis::mitigation::candidates::{Evaluated, RegisteredProject};
use chokepoint::analysis::mitigation::{
    Action, Amount, Cost, Evaluator, Kind, Measure, Registers, candidates, combine,
};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{Restriction, ScenarioBody, Shock, Target};
use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Selector};
use proptest::prelude::*;

/// Two makers of metal (A 80, B 20) and one of gas feed one maker of chips; what the metal needs,
/// if anything, is ore of one mine of B.
fn network() -> Arc<Snapshot> {
    let mut builder = NetworkBuilder::new();
    for (id, product, stage, country, output) in [
        ("metal.A", "metal", "refine", "AAA", 80.0),
        ("metal.B", "metal", "refine", "BBB", 20.0),
        ("gas.A", "gas", "refine", "AAA", 50.0),
        ("gas.B", "gas", "refine", "BBB", 50.0),
        ("chip", "chip", "industry", "BBB", 1.0),
    ] {
        let node = NodeRecord {
            product: Some(product.into()),
            stage: Some(stage.into()),
            country: Some(country.into()),
            output: Some(chokepoint::model::Figure {
                unit: Some("t/a".into()),
                ..chokepoint::model::Figure::bare(output)
            }),
            ..NodeRecord::new(id)
        };
        builder.add_node(&node, 0).unwrap();
    }
    for (from, quantity) in [("metal.A", 80.0), ("metal.B", 20.0), ("gas.A", 50.0), ("gas.B", 50.0)]
    {
        let mut flow = FlowRecord::new(from, "chip", quantity);
        flow.unit = Some("t/a".into());
        (flow.low, flow.high) = (Some(quantity * 0.9), Some(quantity * 1.2));
        builder.add_flow(&flow, 0);
    }
    for input in ["metal", "gas"] {
        let requirement = RequirementRecord {
            output: "chip".into(),
            input: input.into(),
            ..RequirementRecord::default()
        };
        builder.add_requirement(&requirement).unwrap();
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

fn body(shocks: Vec<Shock>) -> ScenarioBody {
    let target = Target { name: "chip".into(), select: Selector::node("chip") };
    ScenarioBody { shocks, targets: vec![target], ..ScenarioBody::default() }
}

fn loss_of(node: &str) -> Shock {
    Shock { select: Some(Selector::node(node)), loss: Some(1.0), ..Shock::default() }
}

fn restricted(node: &str, pass: f64) -> Shock {
    Shock {
        select: Some(Selector::node(node)),
        restrict: Some(Restriction { pass: Some(pass), ..Restriction::default() }),
        ..Shock::default()
    }
}

fn made(snapshot: &Arc<Snapshot>, body: &ScenarioBody, kinds: &[Kind]) -> Vec<Measure> {
    let silent = Progress::silent();
    let model = ImpactModel::new(snapshot.clone(), &body.model, &[]).unwrap();
    let shocks = Shocks::compile(snapshot, &body.shocks).unwrap();
    let prepared = model.prepare(&shocks);
    let solution = model.solve(&prepared, &silent).unwrap();
    let targets = [TargetNodes::resolve(snapshot, &body.targets[0], "").unwrap()];
    let project = |capacity: Option<f64>, name: &str| RegisteredProject {
        name: name.into(),
        product: "metal".into(),
        stage: "refine".into(),
        country: "CCC".into(),
        capacity: capacity.map(|value| Amount { value, range: None, unit: "t/a".into() }),
        start_year: 2030,
        funding: None,
        source: "test".into(),
        note: None,
    };
    let registers = Registers {
        projects: vec![project(Some(40.0), "new smelter"), project(None, "vague plan")],
        substitutes: Vec::new(),
        mass: &|_, _, _| None,
        cost: &|product, amount| {
            (product == "metal").then(|| Cost {
                value: amount.value * 1000.0,
                unit: "USD".into(),
                source: "test".into(),
            })
        },
    };
    let evaluated =
        Evaluated { body, model: &model, shocks: &shocks, solution: &solution, targets: &targets };
    let (measures, left_out) = candidates(&evaluated, &registers, kinds, 6.0);
    if kinds.contains(&Kind::Project) {
        assert_eq!(left_out.len(), 1, "{left_out:?}");
    }
    measures
}

fn losses(snapshot: &Arc<Snapshot>, body: &ScenarioBody, measures: &[&Measure]) -> f64 {
    let silent = Progress::silent();
    Evaluator { snapshot, body, months: 6.0, progress: &silent }.losses(measures).unwrap()[0]
}

#[test]
fn each_kind_avoids_what_arithmetic_says() {
    let snapshot = network();
    let body = body(vec![loss_of("metal.A")]);
    assert!((losses(&snapshot, &body, &[]) - 0.8).abs() < 1e-12);
    let measures = made(&snapshot, &body, &Kind::ALL);
    let named = |name: &str| measures.iter().find(|m| m.name.contains(name)).unwrap();
    let left = |m: &Measure| losses(&snapshot, &body, &[m]);
    // 40 t of 80 t that are missing.
    assert!((left(named("new smelter")) - 0.4).abs() < 1e-12);
    // The survivor makes 25 % of 20 t more.
    let second = named("BBB: metal refine +25 %");
    assert_eq!(second.amount.as_ref().unwrap().value, 5.0);
    assert!((left(second) - 0.75).abs() < 1e-12);
    // The chip maker moves a quarter of its metal to the survivor.
    let qualified = named("chip qualifies metal.B");
    assert_eq!(qualified.amount.as_ref().unwrap().value, 25.0);
    assert!((left(qualified) - 0.55).abs() < 1e-12);
    // Half the dependence.
    assert!((left(named("substitute for metal")) - 0.4).abs() < 1e-12);
    // Six months of 80 t a year: 40 t, in a range, at its price; half of the year is saved.
    let stock = named("stock of metal");
    let amount = stock.amount.as_ref().unwrap();
    assert!((amount.value - 40.0).abs() < 1e-9 && amount.unit == "t");
    let (low, high) = amount.range.unwrap();
    assert!((low - 36.0).abs() < 1e-9 && (high - 48.0).abs() < 1e-9);
    assert!((stock.cost.as_ref().unwrap().value - 40_000.0).abs() < 1e-6);
    assert!((left(stock) - 0.4).abs() < 1e-12);
    // In time: the same half of a year, in steps of a week.
    let silent = Progress::silent();
    let evaluator = Evaluator { snapshot: &snapshot, body: &body, months: 6.0, progress: &silent };
    let without = evaluator.over_time(&[]).unwrap()[0];
    let with = evaluator.over_time(&[stock]).unwrap()[0];
    assert!(with.first_day.unwrap() > without.first_day.unwrap() + 150.0, "{with:?}");
    assert!((without.mean - with.mean - 0.4).abs() < 0.02, "{without:?} {with:?}");
    assert!(!measures.iter().any(|m| m.kind == Kind::Policy));
    // Together the smelter and the survivor leave 35 t missing.
    assert!((losses(&snapshot, &body, &[named("new smelter"), second]) - 0.35).abs() < 1e-12);
}

#[test]
fn a_restriction_is_eased_or_suspended() {
    let snapshot = network();
    let body = body(vec![restricted("metal.A", 0.2)]);
    assert!((losses(&snapshot, &body, &[]) - 0.64).abs() < 1e-12);
    let measures = made(&snapshot, &body, &[Kind::Policy]);
    assert_eq!(measures.len(), 2);
    assert!((losses(&snapshot, &body, &[&measures[0]]) - 0.32).abs() < 1e-12);
    assert!(losses(&snapshot, &body, &[&measures[1]]) < 1e-12);
    assert!(
        matches!(measures[0].action, Action::Pass { shock: 0, pass } if (pass - 0.6).abs() < 1e-12)
    );
}

#[test]
fn inputs_that_bind_together_are_mitigated_together() {
    let snapshot = network();
    // Metal loses 0.5, gas 0.5: either alone changes nothing.
    let half = Shock { loss: Some(0.625), ..loss_of("metal.A") };
    let body = body(vec![half, loss_of("gas.A")]);
    let base = losses(&snapshot, &body, &[]);
    assert!((base - 0.5).abs() < 1e-12);
    let measures = made(&snapshot, &body, &[Kind::Substitute]);
    assert_eq!(measures.len(), 2, "both inputs are worth a measure: {measures:?}");
    for m in &measures {
        assert!((losses(&snapshot, &body, &[m]) - 0.5).abs() < 1e-12);
    }
    let silent = Progress::silent();
    let evaluator = Evaluator { snapshot: &snapshot, body: &body, months: 6.0, progress: &silent };
    let steps = combine(&evaluator, &measures, &[0, 1], 4, &[base], |l| l[0]).unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].added, [0, 1]);
    assert!((steps[0].losses[0] - 0.25).abs() < 1e-12);
}

#[test]
fn what_shares_a_resource_is_not_combined() {
    let snapshot = network();
    let body = body(vec![restricted("metal.A", 0.0)]);
    let base = losses(&snapshot, &body, &[]);
    let measures = made(&snapshot, &body, &[Kind::Policy]);
    let silent = Progress::silent();
    let evaluator = Evaluator { snapshot: &snapshot, body: &body, months: 6.0, progress: &silent };
    let steps = combine(&evaluator, &measures, &[0, 1], 4, &[base], |l| l[0]).unwrap();
    assert_eq!(steps.len(), 1, "one restriction is eased once");
    assert_eq!(steps[0].added, [1]);
}

proptest! {
    #![proptest_config(crate::laws::cases(40))]

    #[test]
    fn measures_never_hurt_here_and_combinations_only_help(a in 0.0f64..=1.0, g in 0.0f64..=1.0) {
        let snapshot = network();
        let shock = |node: &str, loss| Shock { loss: Some(loss), ..loss_of(node) };
        let body = body(vec![shock("metal.A", a), shock("gas.A", g)]);
        let base = losses(&snapshot, &body, &[]);
        let measures = made(&snapshot, &body, &Kind::ALL);
        for m in &measures {
            prop_assert!(losses(&snapshot, &body, &[m]) <= base + 1e-12, "{m:?}");
        }
        let pool: Vec<usize> = (0..measures.len()).collect();
        let silent = Progress::silent();
        let evaluator =
            Evaluator { snapshot: &snapshot, body: &body, months: 6.0, progress: &silent };
        let steps = combine(&evaluator, &measures, &pool, 3, &[base], |l| l[0]).unwrap();
        let mut last = base;
        for step in steps {
            prop_assert!(step.losses[0] < last);
            last = step.losses[0];
        }
    }
}
