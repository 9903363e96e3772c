//! Evidence: where figures come from, and which figures speak of the same thing.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{figure, quantity};
use crate::dataset::tables::{ProductionRow, Tables, class_of_source};
use crate::model::figure::{Figure, FigureClass};

/// Where figures come from.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Source {
    /// Stable id.
    pub id: String,
    /// The source as the tables name it.
    pub source: String,
    /// How numbers of this source are known.
    pub class: FigureClass,
    /// Terms under which it may be used.
    pub licence: String,
    /// Rows that rest on it, by table.
    pub rows: BTreeMap<String, u32>,
}

/// One figure of the production table, with what disagrees with it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FigureEntry {
    /// Stable id: `production.material.stage.COUNTRY`.
    pub id: String,
    /// What it is a figure of.
    pub material: String,
    /// Stage, `price` or `claim_*`.
    pub stage: String,
    /// Country.
    pub country: String,
    /// Part of world output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Figure>,
    /// Output, price or claimed quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Figure>,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// True if the network uses it; claims and prices stand beside it.
    pub used: bool,
    /// Why this figure is the one that is used, or is not.
    pub reason: String,
    /// Ids of figures that speak of the same thing.
    pub beside: Vec<String>,
    /// Table and line.
    pub row: String,
}

/// Sources, by their text.
pub fn sources(tables: &Tables) -> Vec<Source> {
    let mut rows: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
    for (table, list) in by_table(tables) {
        for source in list {
            *rows.entry(source).or_default().entry(table.to_owned()).or_default() += 1;
        }
    }
    rows.into_iter()
        .map(|(source, rows)| Source {
            id: source_id(source),
            source: source.to_owned(),
            class: class_of_source(source),
            licence: licence(source).to_owned(),
            rows,
        })
        .collect()
}

fn by_table(tables: &Tables) -> [(&'static str, Vec<&str>); 13] {
    let judged = crate::dataset::assessment();
    [
        ("production", tables.production.iter().map(|r| &*r.source).collect()),
        ("uses", tables.uses.iter().map(|r| &*r.source).collect()),
        ("bill_of_materials", tables.bill_of_materials.iter().map(|r| &*r.source).collect()),
        ("use_shares", tables.use_shares.iter().map(|r| &*r.source).collect()),
        ("trade", tables.trade.iter().map(|r| &*r.source).collect()),
        ("stockpiles", tables.stockpiles.iter().map(|r| &*r.source).collect()),
        ("policies", tables.policies.iter().map(|r| &*r.source).collect()),
        ("projects", tables.projects.iter().map(|r| &*r.source).collect()),
        ("countries", tables.countries.iter().map(|r| &*r.source).collect()),
        ("capacities", tables.capacities.iter().map(|r| &*r.source).collect()),
        ("criticality", judged.criticality.iter().map(|r| &*r.source).collect()),
        ("value_added", judged.value_added.iter().map(|r| &*r.source).collect()),
        ("benchmarks", judged.benchmarks.iter().map(|r| &*r.source).collect()),
    ]
}

/// Stable id of a source: `src_` and ten hexadecimal digits of the SHA-256 of its text.
pub fn source_id(source: &str) -> String {
    let hash = Sha256::digest(source.as_bytes());
    let digits: String = hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("src_{digits}")
}

fn licence(source: &str) -> &'static str {
    if source.starts_with("USGS") {
        "public domain (US Geological Survey)"
    } else if source.starts_with("IEA Critical Minerals Data Explorer") {
        "CC BY 4.0, credit \"IEA\""
    } else if source.starts_with("World Bank") {
        "CC BY 4.0, credit \"World Bank\""
    } else if source.starts_with("Eurostat") {
        "reuse allowed with credit (Eurostat)"
    } else if source.starts_with("estimate") || source.starts_with("derived") {
        "this project's own judgement or computation"
    } else {
        "single facts, retyped"
    }
}

/// Every figure of the production table, by id.
pub fn figures(tables: &Tables) -> BTreeMap<String, FigureEntry> {
    let id = |r: &ProductionRow| format!("production.{}.{}.{}", r.material, r.stage, r.country);
    tables
        .production
        .iter()
        .map(|row| {
            let beside: Vec<&ProductionRow> = tables
                .production
                .iter()
                .filter(|o| o.line != row.line && same_subject(row, o))
                .collect();
            let reason = if row.in_network() {
                "the row of this product, stage and country in the production table"
            } else if row.stage == "price" {
                "prices are no part of the network"
            } else {
                "a published claim kept beside the network's own value; for sensitivity runs"
            };
            let unit = if row.in_network() { "share of world output" } else { "share" };
            let entry = FigureEntry {
                id: id(row),
                material: row.material.clone(),
                stage: row.stage.clone(),
                country: row.country.clone(),
                share: row.share.map(|s| figure(s, unit, Some(row.year), &row.source)),
                quantity: quantity(row),
                note: row.note.clone(),
                used: row.in_network(),
                reason: reason.to_owned(),
                beside: beside.into_iter().map(id).collect(),
                row: format!("production.csv:{}", row.line),
            };
            (entry.id.clone(), entry)
        })
        .collect()
}

/// True if two rows speak of the same material, country and stage, one of them as a claim.
fn same_subject(a: &ProductionRow, b: &ProductionRow) -> bool {
    let stage = |r: &ProductionRow| -> String {
        let claimed = r.stage.strip_prefix("claim_").unwrap_or(&r.stage);
        claimed.split('_').next().unwrap_or_default().to_owned()
    };
    let claims = a.stage.starts_with("claim_") || b.stage.starts_with("claim_");
    claims && a.material == b.material && a.country == b.country && stage(a) == stage(b)
}
