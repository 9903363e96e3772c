//! Laws of the synthesised network, on the whole data set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chokepoint::dataset::synthesis::{NoteKind, Perturbation, Synthesis, synthesize};
use chokepoint::dataset::tables::{OTHER_USES, Tables};
use chokepoint::model::figure::FigureClass;
use chokepoint::model::{Countries, FlowRecord, NodeRecord, RequirementRecord, Rule};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

static TABLES: LazyLock<Tables> =
    LazyLock::new(|| Tables::embedded().unwrap_or_else(|e| panic!("{e}")));
static SYNTHESIS: LazyLock<Synthesis> =
    LazyLock::new(|| synthesize(&TABLES, &Perturbation::default()).unwrap());
static DATA: LazyLock<Data> = LazyLock::new(|| Data::new(&SYNTHESIS));

struct Data {
    nodes: BTreeMap<String, NodeRecord>,
    flows: Vec<FlowRecord>,
    requirements: Vec<RequirementRecord>,
}

impl Data {
    fn new(s: &Synthesis) -> Self {
        let n = &s.network;
        Self {
            nodes: (0..n.node_count() as u32)
                .map(|i| n.node_record(i))
                .map(|r| (r.id.clone(), r))
                .collect(),
            flows: (0..n.flow_count()).map(|e| n.flow_record(e)).collect(),
            requirements: (0..n.requirements.len()).map(|i| n.requirement_record(i)).collect(),
        }
    }

    fn node(&self, id: &str) -> &NodeRecord {
        &self.nodes[id]
    }

    fn output(&self, id: &str) -> f64 {
        self.node(id).output.as_ref().unwrap().value
    }

    fn product(&self, id: &str) -> &str {
        self.node(id).product.as_deref().unwrap()
    }

    fn stage(&self, id: &str) -> &str {
        self.node(id).stage.as_deref().unwrap()
    }

    fn country(&self, id: &str) -> &str {
        self.node(id).country.as_deref().unwrap()
    }

    fn flow(&self, from: &str, to: &str) -> f64 {
        self.flows.iter().filter(|f| f.from == from && f.to == to).map(|f| f.quantity.value).sum()
    }

    /// Loss of each node when `lost` make nothing: the requirement rule, swept until nothing moves.
    fn losses(&self, lost: impl Fn(&NodeRecord) -> bool) -> BTreeMap<&str, f64> {
        let dependence: BTreeMap<(&str, &str), f64> = self
            .requirements
            .iter()
            .map(|r| ((&*r.output, &*r.input), r.dependence.as_ref().unwrap().value))
            .collect();
        let mut groups: BTreeMap<(&str, &str), Vec<&FlowRecord>> = BTreeMap::new();
        for f in &self.flows {
            groups.entry((&f.to, self.product(&f.from))).or_default().push(f);
        }
        let mut level: BTreeMap<&str, f64> = self.nodes.keys().map(|k| (&**k, 1.0)).collect();
        loop {
            let mut next: BTreeMap<&str, f64> =
                self.nodes.values().map(|n| (&*n.id, if lost(n) { 0.0 } else { 1.0 })).collect();
            for ((to, input), flows) in &groups {
                let all: f64 = flows.iter().map(|f| f.quantity.value).sum();
                let there: f64 = flows.iter().map(|f| f.quantity.value * level[&*f.from]).sum();
                let d = dependence[&(self.product(to), *input)];
                let most = 1.0 - d * (1.0 - there / all);
                let own = next.get_mut(to).unwrap();
                *own = own.min(most);
            }
            let moved = next.iter().any(|(k, v)| (level[k] - v).abs() > 1e-12);
            level = next;
            if !moved {
                return level.into_iter().map(|(k, v)| (k, 1.0 - v)).collect();
            }
        }
    }

    fn mean_loss(&self, losses: &BTreeMap<&str, f64>, product: &str, stage: &str) -> f64 {
        let group: Vec<&NodeRecord> = self
            .nodes
            .values()
            .filter(|n| n.product.as_deref() == Some(product) && n.stage.as_deref() == Some(stage))
            .collect();
        let all: f64 = group.iter().map(|n| self.output(&n.id)).sum();
        group.iter().map(|n| losses[&*n.id] * self.output(&n.id)).sum::<f64>() / all
    }
}

fn countries() -> Countries {
    TABLES.country_register()
}

/// Tables with some files replaced.
fn tables_with(
    changed: &[(&str, String)],
) -> Result<Tables, chokepoint::dataset::tables::TablesError> {
    Tables::read(|file| match changed.iter().find(|(name, _)| *name == file) {
        Some((_, text)) => Ok(text.clone().into_bytes()),
        None => Ok(original(file).into_bytes()),
    })
}

fn original(file: &str) -> String {
    let path = format!("{}/graph-data/tables/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

const FILES: [&str; 11] = [
    "production.csv",
    "uses.csv",
    "bill_of_materials.csv",
    "use_shares.csv",
    "trade.csv",
    "stockpiles.csv",
    "policies.csv",
    "projects.csv",
    "countries.csv",
    "terms.csv",
    "capacities.csv",
];

#[test]
fn every_row_of_the_network_is_a_node() {
    let rows: Vec<_> = TABLES.production.iter().filter(|r| r.in_network()).collect();
    for row in &rows {
        let id = format!("{}.{}.{}", row.material, row.stage, row.country);
        let node = DATA.node(&id);
        assert_eq!(node.product.as_deref(), Some(&*row.material));
        assert_eq!(node.stage.as_deref(), Some(&*row.stage));
        assert_eq!(node.country.as_deref(), Some(&*row.country));
        let output = node.output.as_ref().unwrap();
        if let Some(quantity) = row.quantity {
            assert!((output.value / quantity - 1.0).abs() < 1e-9, "{id}");
        }
        assert!((node.attributes["share"].as_f64().unwrap() - row.share.unwrap()).abs() < 2e-3);
        assert_eq!(output.year, Some(row.year));
    }
    fn others(stage: &str) -> impl Iterator<Item = &'static NodeRecord> {
        DATA.nodes.values().filter(move |n| n.stage.as_deref() == Some(stage))
    }
    let made: usize =
        ["platform", "host", "feedstock", OTHER_USES].iter().map(|s| others(s).count()).sum();
    assert_eq!(rows.len() + made, DATA.nodes.len());
    assert!(others("platform").any(|n| n.id == "f35.platform.WLD"));
    assert!(others("host").any(|n| n.id == "natural_gas.host.WLD"));
    assert!(others("feedstock").any(|n| n.id == "quartz.feedstock.WLD"));
}

#[test]
fn no_figure_is_negative_or_without_source() {
    let whole = |f: &chokepoint::model::Figure, what: &str| {
        assert!(f.check().is_ok() && f.value > 0.0, "{what}: {f:?}");
        assert!(f.class.is_some() && f.unit.is_some(), "{what}: {f:?}");
        assert!(f.source.as_deref().is_some_and(|s| !s.is_empty()), "{what}: {f:?}");
    };
    for node in DATA.nodes.values() {
        whole(node.output.as_ref().unwrap(), &node.id);
        for figure in node.capacity.iter().chain(&node.stock_days) {
            whole(figure, &node.id);
        }
    }
    for flow in &DATA.flows {
        whole(&flow.figure(), &format!("{}..{}", flow.from, flow.to));
    }
    for r in &DATA.requirements {
        let what = format!("{} needs {}", r.output, r.input);
        assert_eq!(r.rule, Rule::Limiting);
        let d = r.dependence.as_ref().unwrap();
        assert!(d.value > 0.0 && d.value <= 1.0 && d.source.is_some() && d.class.is_some());
        if let Some(intensity) = &r.intensity {
            assert!(intensity.source.is_some() && intensity.class.is_some(), "{what}");
        }
    }
}

#[test]
fn every_output_is_used_up() {
    let mut left: BTreeMap<&str, f64> = BTreeMap::new();
    for flow in DATA.flows.iter().filter(|f| !f.joint) {
        *left.entry(&flow.from).or_default() += flow.quantity.value;
    }
    for node in DATA.nodes.values() {
        let last = [OTHER_USES, "consumption"].contains(&node.stage.as_deref().unwrap());
        let used = left.get(&*node.id).copied().unwrap_or_default();
        if last {
            assert_eq!(used, 0.0, "{}", node.id);
        } else {
            assert!((used / DATA.output(&node.id) - 1.0).abs() < 1e-6, "{}: {used}", node.id);
        }
    }
}

#[test]
fn every_consumer_gets_its_part_of_each_use() {
    // World supply of an input goes to its consumers by use share, and within a consuming product
    // to each node by its share of that product's output.
    let mut arrived: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for flow in DATA.flows.iter().filter(|f| !f.joint) {
        *arrived.entry((DATA.product(&flow.from), &flow.to)).or_default() += flow.quantity.value;
    }
    let stages = ["component", "industry", "refine", "mine", "platform", "feedstock"];
    for row in TABLES.use_shares.iter().filter(|u| u.kind == "use") {
        let supply: f64 = DATA
            .nodes
            .values()
            .filter(|n| n.product.as_deref() == Some(&*row.input))
            .filter(|n| {
                // The supplying stage is the one that feeds other_uses or other products.
                DATA.flows.iter().any(|f| {
                    f.from == n.id
                        && !f.joint
                        && (DATA.product(&f.to) != row.input || DATA.stage(&f.to) == OTHER_USES)
                })
            })
            .map(|n| DATA.output(&n.id))
            .sum();
        let stage = if row.consumer == OTHER_USES {
            OTHER_USES
        } else {
            stages
                .into_iter()
                .find(|s| {
                    DATA.nodes.values().any(|n| {
                        n.product.as_deref() == Some(&*row.consumer)
                            && n.stage.as_deref() == Some(*s)
                    })
                })
                .unwrap()
        };
        let product = if row.consumer == OTHER_USES { &row.input } else { &row.consumer };
        let consumers: Vec<&NodeRecord> = DATA
            .nodes
            .values()
            .filter(|n| n.product.as_deref() == Some(&**product))
            .filter(|n| n.stage.as_deref() == Some(stage))
            .collect();
        let all: f64 = consumers.iter().map(|n| DATA.output(&n.id)).sum();
        for n in consumers {
            let goal = supply * row.use_share.unwrap() * DATA.output(&n.id) / all;
            let got = arrived.get(&(&*row.input, &*n.id)).copied().unwrap_or_default();
            // The shares of one input (rare earths) sum to 0.99999 in the table.
            assert!((got / goal - 1.0).abs() < 2e-5, "{} -> {}: {got} {goal}", row.input, n.id);
        }
    }
}

#[test]
fn stages_of_a_product_hand_on_their_whole_output() {
    for (from, to) in [("tungsten.mine", "tungsten.refine"), ("silver.mine", "silver.refine")] {
        let made: f64 = DATA
            .nodes
            .keys()
            .filter(|id| id.starts_with(&format!("{from}.")))
            .map(|id| DATA.output(id))
            .sum();
        let handed: f64 = DATA
            .flows
            .iter()
            .filter(|f| f.from.starts_with(from) && f.to.starts_with(to))
            .map(|f| f.quantity.value)
            .sum();
        assert!((handed / made - 1.0).abs() < 1e-6);
    }
    // Without a refine stage the mine feeds the next step directly.
    assert!(DATA.flow("bauxite.mine.CHN", "alumina.refine.CHN") > 0.0);
    assert!(
        DATA.flows.iter().any(|f| f.from == "boron.mine.TUR" && f.to.starts_with("ndfeb_alloy"))
    );
}

#[test]
fn own_supply_comes_first() {
    // For each input and country: what its makers take from home is all they need, or all there is.
    let countries = countries();
    let region = |code: &str| -> Option<String> {
        match code {
            "OTH" | "WLD" => None,
            code if countries.in_bloc(code, "EU") => Some("EU".into()),
            code => Some(code.into()),
        }
    };
    let mut home: BTreeMap<(String, String), (f64, f64, f64)> = BTreeMap::new();
    for flow in DATA.flows.iter().filter(|f| !f.joint) {
        let link = format!("{}.{}", DATA.product(&flow.from), DATA.stage(&flow.from));
        let (from, to) = (region(DATA.country(&flow.from)), region(DATA.country(&flow.to)));
        let q = flow.quantity.value;
        if let Some(code) = &from {
            home.entry((link.clone(), code.clone())).or_default().0 += q;
        }
        if let Some(code) = &to {
            home.entry((link.clone(), code.clone())).or_default().1 += q;
        }
        if let (Some(a), Some(b)) = (from, to)
            && a == b
        {
            home.entry((link, a)).or_default().2 += q;
        }
    }
    assert!(home.len() > 1000);
    for ((link, code), (made, needed, own)) in home {
        let most = made.min(needed);
        assert!((own - most).abs() <= 1e-6 * most, "{link} {code}: {made} {needed} {own}");
    }
}

#[test]
fn the_european_union_and_its_members_are_one_and_counted_once() {
    let countries = countries();
    let mut groups: BTreeMap<(&str, &str), (bool, bool)> = BTreeMap::new();
    for node in DATA.nodes.values() {
        let group = groups.entry((DATA.product(&node.id), DATA.stage(&node.id))).or_default();
        let country = DATA.country(&node.id);
        group.0 |= country == "EUU";
        group.1 |= country != "EUU" && countries.in_bloc(country, "EU");
    }
    for (group, (bloc, members)) in groups {
        assert!(!(bloc && members), "{group:?} holds the bloc and its members");
    }
    // German polysilicon supplies German wafers; member states' components supply EUU industry.
    assert!(DATA.flow("superalloy.component.FRA", "aerospace.industry.EUU") > 0.0);
    assert!(DATA.flow("defence.industry.FRA", "defence.consumption.EUU") > 0.0);
    let needed: f64 = DATA
        .flows
        .iter()
        .filter(|f| f.to == "defence.consumption.EUU")
        .map(|f| f.quantity.value)
        .sum();
    assert!((needed - 0.13).abs() < 1e-6);
}

#[test]
fn known_import_shares_are_kept() {
    // The US makes little bismuth and imports 56 % of it from China, 22 % from Korea.
    let (mut from_china, mut from_korea, mut all) = (0.0, 0.0, 0.0);
    for f in DATA.flows.iter().filter(|f| f.from.starts_with("bismuth.refine")) {
        if DATA.country(&f.to) == "USA" {
            all += f.quantity.value;
            if f.from.ends_with("CHN") {
                from_china += f.quantity.value;
                assert_eq!(f.class, Some(FigureClass::Measured));
                assert!(f.source.as_deref().unwrap().contains("pinned"), "{:?}", f.source);
            }
            from_korea += if f.from.ends_with("KOR") { f.quantity.value } else { 0.0 };
        }
    }
    assert!((from_china / all - 0.56).abs() < 1e-6, "{}", from_china / all);
    assert!((from_korea / all - 0.22).abs() < 1e-6, "{}", from_korea / all);
    assert!(SYNTHESIS.notes.iter().any(|n| n.kind == NoteKind::ExporterWithoutNode
        && n.subject == "trade.csv USA bismuth refine 2024 DEU"));
}

#[test]
fn by_products_follow_their_hosts() {
    let hosts: BTreeSet<&str> =
        DATA.flows.iter().filter(|f| f.to == "gallium.refine.CHN").map(|f| &*f.from).collect();
    assert_eq!(hosts, BTreeSet::from(["alumina.refine.CHN", "zinc.refine.CHN"]));
    let mut given: BTreeMap<&str, f64> = BTreeMap::new();
    for row in TABLES.use_shares.iter().filter(|u| u.kind == "joint") {
        let flows: Vec<&FlowRecord> = DATA
            .flows
            .iter()
            .filter(|f| DATA.product(&f.from) == row.input && DATA.product(&f.to) == row.consumer)
            .collect();
        assert!(!flows.is_empty(), "{} -> {}", row.input, row.consumer);
        given.clear();
        let mut taken: BTreeMap<&str, f64> = BTreeMap::new();
        for f in &flows {
            assert!(f.joint, "{} -> {}", f.from, f.to);
            *given.entry(&f.from).or_default() += f.quantity.value;
            *taken.entry(&f.to).or_default() += f.quantity.value;
        }
        for (host, quantity) in &given {
            assert!(*quantity <= DATA.output(host) * (1.0 + 1e-9), "{host} gives {quantity}");
        }
        // Each consumer's part of the host is its part of the by-product.
        let (made, drawn): (f64, f64) =
            (taken.keys().map(|id| DATA.output(id)).sum(), taken.values().sum());
        for (id, quantity) in &taken {
            assert!((quantity / drawn - DATA.output(id) / made).abs() < 1e-9, "{id}");
        }
    }
    // A joint flow takes nothing from the host's uses: alumina goes to aluminium whole.
    let smelted: f64 = DATA
        .flows
        .iter()
        .filter(|f| f.from == "alumina.refine.CHN" && f.to.starts_with("aluminium.refine"))
        .map(|f| f.quantity.value)
        .sum();
    assert!((smelted / DATA.output("alumina.refine.CHN") - 1.0).abs() < 1e-6);
}

#[test]
fn every_pair_of_the_bill_of_materials_is_there() {
    let flows: BTreeSet<(&str, &str)> =
        DATA.flows.iter().map(|f| (DATA.product(&f.to), DATA.product(&f.from))).collect();
    let requirements: BTreeMap<(&str, &str), &RequirementRecord> =
        DATA.requirements.iter().map(|r| ((&*r.output, &*r.input), r)).collect();
    for row in &TABLES.bill_of_materials {
        let pair = (&*row.output, &*row.input);
        assert!(flows.contains(&pair), "{pair:?} has no flow");
        let d = requirements[&pair].dependence.as_ref().unwrap().value;
        let by_essentiality = match row.essentiality.as_str() {
            "essential" => 1.0,
            "important" => 0.5,
            _ => 0.1,
        };
        assert_eq!(d, row.dependence.unwrap_or(by_essentiality));
    }
    // Every flow has its requirement, and only stages of one product need their own product.
    for pair in flows {
        assert!(requirements.contains_key(&pair), "{pair:?} has no requirement");
    }
    let own = requirements.keys().filter(|(output, input)| output == input).count();
    assert_eq!(requirements.len(), TABLES.bill_of_materials.len() + own);
    assert!(SYNTHESIS.notes.iter().all(|n| n.kind != NoteKind::NoFlow));
    // Ore is an input of refining and of nothing else: mines need no product of their own.
    for f in &DATA.flows {
        if DATA.stage(&f.to) == "mine" {
            assert_ne!(DATA.product(&f.from), DATA.product(&f.to), "{} -> {}", f.from, f.to);
        }
    }
}

#[test]
fn the_network_is_at_rest_and_alumina_hits_only_its_own_smelters() {
    let nothing = DATA.losses(|_| false);
    assert!(nothing.values().all(|l| l.abs() < 1e-12));

    let losses = DATA.losses(|n| n.id == "alumina.refine.CHN");
    let world = DATA.mean_loss(&losses, "aluminium", "refine");
    assert!((0.55..0.65).contains(&world), "world aluminium loses {world}");
    for (id, loss) in &losses {
        if id.starts_with("aluminium.refine.") && !id.ends_with("CHN") {
            assert!(*loss < 0.05, "{id} loses {loss} by Chinese alumina");
        }
    }
}

#[test]
fn the_flagship_is_plausible_without_stocks_and_priorities() {
    let losses = DATA
        .losses(|n| n.country.as_deref() == Some("CHN") && n.stage.as_deref() == Some("refine"));
    // Refined materials lose at least China's share of refining, and the order is that of shares.
    for row in TABLES.production.iter().filter(|r| r.stage == "refine" && r.country == "CHN") {
        let loss = DATA.mean_loss(&losses, &row.material, "refine");
        assert!(loss >= row.share.unwrap() - 2e-3, "{} loses {loss}", row.material);
    }
    let semiconductors: Vec<(&&str, &f64)> =
        losses.iter().filter(|(id, _)| id.starts_with("semiconductors.industry.")).collect();
    for (id, loss) in semiconductors {
        if !id.ends_with("CHN") {
            assert!((0.2..0.9).contains(loss), "{id} loses {loss}");
        }
    }
}

#[test]
fn known_stocks_and_capacities_are_on_the_nodes() {
    assert_eq!(SYNTHESIS.settings.stock_days, Some(45.0));
    let refiner = DATA.node("gallium_high_purity.refine.USA");
    assert_eq!(refiner.stock_days.as_ref().unwrap().value, 65.0);
    // Chips hold silver for long; that says nothing about their other inputs.
    let chips = DATA.node("semiconductors.industry.USA");
    assert!(chips.stock_days.is_none());
    assert_eq!(chips.attributes["stock_days.silver"].as_f64(), Some(582.0));
    let capacity = DATA.node("gallium.refine.JPN").capacity.as_ref().unwrap();
    assert_eq!((capacity.value, capacity.unit.as_deref()), (10_000.0, Some("kg/a")));
    let silver = DATA.node("silver.refine.CHN").output.as_ref().unwrap();
    assert_eq!((silver.low, silver.high), (Some(0.6), Some(0.7)));
}

fn hash(tables: &Tables) -> String {
    let mut hasher = Sha256::new();
    for record in synthesize(tables, &Perturbation::default()).unwrap().network.records() {
        hasher.update(serde_json::to_vec(&record).unwrap());
        hasher.update(b"\n");
    }
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_same_rows_in_any_order_give_the_same_bytes() {
    let expected = hash(&TABLES);
    assert_eq!(hash(&TABLES), expected);
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..3 {
        let shuffled: Vec<(&str, String)> = FILES
            .iter()
            .map(|file| {
                let text = original(file);
                let mut lines: Vec<&str> = text.lines().collect();
                for i in (2..lines.len()).rev() {
                    lines.swap(i, 1 + random(i));
                }
                (*file, lines.join("\n") + "\n")
            })
            .collect();
        assert_eq!(hash(&tables_with(&shuffled).unwrap()), expected);
    }
}

proptest! {
    #![proptest_config(crate::laws::cases(12))]
    #[test]
    fn perturbed_tables_still_balance(seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut factors = |n: usize| -> Vec<f64> {
            (0..n)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    0.7 + 0.6 * (state >> 11) as f64 / (1u64 << 53) as f64
                })
                .collect()
        };
        let perturbation = Perturbation {
            production: factors(TABLES.production.len()),
            use_shares: factors(TABLES.use_shares.len()),
            trade: factors(TABLES.trade.len()),
        };
        let data = Data::new(&synthesize(&TABLES, &perturbation).unwrap());
        let mut used: BTreeMap<&str, f64> = BTreeMap::new();
        for f in &data.flows {
            prop_assert!(f.quantity.value > 0.0);
            if !f.joint {
                *used.entry(&f.from).or_default() += f.quantity.value;
            }
        }
        for (id, used) in used {
            prop_assert!((used / data.output(id) - 1.0).abs() < 1e-6, "{}", id);
        }
        prop_assert_eq!(data.nodes.len(), DATA.nodes.len());
    }
}

#[test]
fn factors_that_do_not_fit_are_refused() {
    let short = Perturbation { production: vec![1.0], ..Perturbation::default() };
    let message = synthesize(&TABLES, &short).unwrap_err().to_string();
    assert!(message.contains("1 factors for"), "{message}");
    let bad = Perturbation { trade: vec![f64::NAN; TABLES.trade.len()], ..Perturbation::default() };
    assert!(synthesize(&TABLES, &bad).unwrap_err().to_string().contains("finite"));
    let none =
        Perturbation { production: vec![0.0; TABLES.production.len()], ..Perturbation::default() };
    assert!(synthesize(&TABLES, &none).unwrap_err().to_string().contains("sum to nothing"));
}
