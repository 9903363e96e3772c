//! Published criticality scores, evaluated from declared tables.
//!
//! A score says how likely and how concentrated, the cascade says what happens: they stand side by
//! side. Weights, transforms and figures of materials are rows of `criticality.csv`; what no table
//! has is null with its reason, never invented.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::concentration::{Range, amounts, is_lump};
use crate::analysis::concentration::{Bounded, Concentration, Party};
use crate::dataset;
use crate::dataset::tables::class_of_source;
use crate::graph::Snapshot;
use crate::model::FigureClass;

/// A published score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Supply risk of the EU's critical raw materials (method of 2017, used in 2020 and 2023).
    #[serde(rename = "eu_2023")]
    Eu2023,
}

/// A published score of every selected material.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScoreView {
    /// The score.
    pub score: Score,
    /// How its formula is known: `recalled` was not re-checked against the publication.
    pub class: FigureClass,
    /// The formula.
    pub formula: &'static str,
    /// From which value on a material counts as critical (with economic importance).
    pub critical_from: Option<f64>,
    /// What is not evaluated.
    pub left_out: Vec<&'static str>,
    /// Materials, by name.
    pub materials: Vec<MaterialScore>,
}

/// Score of one material; the riskier stage counts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MaterialScore {
    /// Material.
    pub material: String,
    /// At the mine.
    pub extraction: Option<SupplyRisk>,
    /// At refining.
    pub processing: Option<SupplyRisk>,
    /// Stage that counts: the one of the higher `without_substitution`.
    pub bottleneck: Option<&'static str>,
    /// The published value, to compare with.
    pub published: Option<Cited>,
}

/// A figure of a table with its source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Cited {
    /// Value.
    pub value: f64,
    /// How it is known.
    pub class: FigureClass,
    /// Where it comes from.
    pub source: String,
}

impl Cited {
    fn new(value: f64, source: &str) -> Self {
        Self { value, class: class_of_source(source), source: source.to_owned() }
    }
}

/// Supply risk at one stage, with its parts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SupplyRisk {
    /// Supply risk; `null` where a part is missing (see `missing`).
    pub value: Option<f64>,
    /// Least that the known parts allow.
    pub low: Option<f64>,
    /// Most that the known parts allow.
    pub high: Option<f64>,
    /// The value if nothing could be substituted (index 1): the usual upper end.
    pub without_substitution: Option<f64>,
    /// Concentration of the world's supply, weighted by governance and trade.
    pub global: Option<Range>,
    /// Concentration of the EU's sourcing, likewise.
    pub eu: Option<Range>,
    /// Import reliance of the EU.
    pub import_reliance: Option<Cited>,
    /// End-of-life recycling input rate.
    pub recycling: Option<Cited>,
    /// What is missing, and why.
    pub missing: Vec<String>,
}

const NAME: &str = "eu_2023";
const FORMULA: &str = "SR = (H_GS x IR/2 + H_EU x (1 - IR/2)) x (1 - EoL_RIR) x SI_SR; H = sum of \
    squared shares x governance (0 best to 10 worst) x trade factor; where only one H is known it \
    stands alone";

/// Evaluates a score for the materials among `nodes`.
pub fn score(score: Score, snapshot: &Snapshot, nodes: &[u32]) -> ScoreView {
    let mut by_material: BTreeMap<&str, BTreeMap<&str, Vec<u32>>> = BTreeMap::new();
    for &v in nodes {
        let (product, stage) =
            (snapshot.name(snapshot.product(v)), snapshot.name(snapshot.stage(v)));
        if matches!(stage, "mine" | "refine") && !product.is_empty() {
            by_material.entry(product).or_default().entry(stage).or_default().push(v);
        }
    }
    let parameters = Parameters::read();
    let materials = by_material
        .into_iter()
        .map(|(material, stages)| {
            let risk = |stage: &str| {
                stages
                    .get(stage)
                    .map(|nodes| supply_risk(&parameters, snapshot, material, stage, nodes))
            };
            let (extraction, processing) = (risk("mine"), risk("refine"));
            let of = |r: &Option<SupplyRisk>| r.as_ref().and_then(|r| r.without_substitution);
            let bottleneck = match (of(&extraction), of(&processing)) {
                (Some(e), Some(p)) if e > p => Some("extraction"),
                (_, Some(_)) => Some("processing"),
                (Some(_), None) => Some("extraction"),
                (None, None) => None,
            };
            MaterialScore {
                material: material.to_owned(),
                extraction,
                processing,
                bottleneck,
                published: dataset::assessment()
                    .parameter(NAME, "published_supply_risk", material)
                    .map(|r| Cited::new(r.value, &r.source)),
            }
        })
        .collect();
    ScoreView {
        score,
        class: FigureClass::Recalled,
        formula: FORMULA,
        critical_from: parameter("threshold", "supply_risk"),
        left_out: vec![
            "economic importance: the tables have no shares of end use by NACE sector of the EU",
            "trade factors above 1 for export restrictions: the published values are not settled",
        ],
        materials,
    }
}

fn parameter(parameter: &str, key: &str) -> Option<f64> {
    dataset::assessment().parameter(NAME, parameter, key).map(|r| r.value)
}

/// Weights and transforms, read from the table.
struct Parameters {
    neutral: f64,
    scale: f64,
    trade_eu: f64,
    trade: f64,
    divisor: f64,
    substitution: (f64, f64),
}

impl Parameters {
    /// A missing row leaves its part out of every score.
    fn read() -> Option<Self> {
        Some(Self {
            neutral: parameter("governance", "neutral")?,
            scale: parameter("governance", "scale")?,
            trade_eu: parameter("trade", "EU")?,
            trade: parameter("trade", "default")?,
            divisor: parameter("global_share", "divisor")?,
            substitution: (parameter("substitution", "low")?, parameter("substitution", "high")?),
        })
    }
}

fn supply_risk(
    parameters: &Option<Parameters>,
    snapshot: &Snapshot,
    material: &str,
    stage: &str,
    nodes: &[u32],
) -> SupplyRisk {
    let mut missing = Vec::new();
    let Some(p) = parameters else {
        return SupplyRisk {
            value: None,
            low: None,
            high: None,
            without_substitution: None,
            global: None,
            eu: None,
            import_reliance: None,
            recycling: None,
            missing: vec!["weights: criticality.csv lacks a parameter of the formula".into()],
        };
    };
    let tables = dataset::tables();
    // Shares of the world: the graph's own.
    let (amounts, ..) = amounts(snapshot, nodes);
    let world = nodes
        .iter()
        .zip(amounts)
        .map(|(&v, a)| (snapshot.name(snapshot.country(v)).to_owned(), a))
        .collect::<Vec<_>>();
    let global = weighted(p, snapshot, &world);
    if global.is_none() {
        missing.push("global supply: no amounts are known".to_owned());
    }
    // Sourcing of the EU: the trade table.
    let sourcing: Vec<(String, f64)> = tables
        .trade
        .iter()
        .filter(|r| r.importer == "EUU" && r.material == material && r.stage == stage)
        .map(|r| (r.exporter.clone(), r.share))
        .collect();
    let eu = weighted(p, snapshot, &sourcing);
    if eu.is_none() {
        missing.push(format!(
            "EU sourcing: trade.csv has no shares of {material} at {stage} for EUU; the world's \
             supply stands alone"
        ));
    }
    let reliance = tables
        .trade
        .iter()
        .find(|r| r.importer == "EUU" && r.material == material && r.stage == "net_import_reliance")
        .map(|r| Cited::new(r.share, &r.source));
    if reliance.is_none() && global.is_some() && eu.is_some() {
        missing.push(format!("import reliance: trade.csv has none of {material} for EUU"));
    }
    let recycling = dataset::assessment()
        .parameter(NAME, "recycling", material)
        .map(|r| Cited::new(r.value, &r.source));
    if recycling.is_none() {
        missing.push(format!("recycling input rate: criticality.csv has none of {material}"));
    }
    missing.push(format!(
        "substitution index: no table has that of {material}; its scale runs from {} to {}",
        p.substitution.0, p.substitution.1
    ));
    let mixed = |reliance: f64, pick: &dyn Fn(&Range) -> f64| match (&global, &eu) {
        (Some(g), Some(e)) => {
            let share = reliance / p.divisor;
            Some(pick(g) * share + pick(e) * (1.0 - share))
        }
        (Some(h), None) | (None, Some(h)) => Some(pick(h)),
        (None, None) => None,
    };
    let rest = recycling.as_ref().map(|r| 1.0 - r.value);
    let with = |reliance: f64, pick: &dyn Fn(&Range) -> f64, substitution: f64| {
        Some(mixed(reliance, pick)? * rest? * substitution)
    };
    // Where the import reliance is not known, both ends of its scale bound the result.
    let ends = reliance.as_ref().map_or(vec![0.0, 1.0], |r| vec![r.value]);
    let low = ends.iter().filter_map(|&ir| with(ir, &|h| h.low, p.substitution.0)).reduce(f64::min);
    let high =
        ends.iter().filter_map(|&ir| with(ir, &|h| h.high, p.substitution.1)).reduce(f64::max);
    let one_is_enough = global.is_some() != eu.is_some();
    let central = match &reliance {
        Some(r) => with(r.value, &|h| h.value, p.substitution.1),
        None if one_is_enough => with(0.0, &|h| h.value, p.substitution.1),
        None => None,
    };
    SupplyRisk {
        // The substitution index is in no table.
        value: None,
        low,
        high,
        without_substitution: central,
        global,
        eu,
        import_reliance: reliance,
        recycling,
        missing,
    }
}

/// Sum of squared shares times governance times trade factor.
fn weighted(p: &Parameters, snapshot: &Snapshot, amounts: &[(String, f64)]) -> Option<Range> {
    let countries = snapshot.countries();
    let mut codes: Vec<&str> = amounts.iter().map(|a| a.0.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let found = Concentration::of(amounts.iter().map(|(code, amount)| {
        let party = match code.as_str() {
            "" => Party::Unknown,
            code if is_lump(countries, code) => Party::Others,
            code => Party::Known(codes.binary_search(&code).unwrap_or(0) as u32),
        };
        (party, *amount)
    }))?;
    let (weighted, _): (Bounded, f64) = found.weighted(|k| {
        let code = codes[k as usize];
        // The register holds the mean of the six indicators rescaled to 0-1.
        let mean = countries.get(code)?.governance? * 5.0 - 2.5;
        let trade = if countries.in_bloc(code, "EU") { p.trade_eu } else { p.trade };
        Some((p.neutral - mean) * p.scale * trade)
    });
    Some(weighted.into())
}
