//! Registers: what the reference tables say beside the network, as plain answers.

mod evidence;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use crate::dataset::tables::{NETWORK_STAGES, ProductionRow, Tables, class_of_source};
use crate::dataset::units::convert;
use crate::model::figure::{Figure, FigureClass};

pub use evidence::{FigureEntry, Source, figures, source_id, sources};

/// A product of the network: material, component, platform or industry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Product {
    /// Name used everywhere.
    pub id: String,
    /// Stages that it passes, in order.
    pub stages: Vec<String>,
    /// Unit of its outputs per stage (`share` where only shares are known).
    pub units: BTreeMap<String, String>,
    /// What it needs.
    pub inputs: Vec<String>,
    /// What needs it.
    pub used_by: Vec<String>,
    /// Processes that it is a by-product of.
    pub hosts: Vec<String>,
    /// World price, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Figure>,
    /// True if it is on NATO's list of 12 defence-critical raw materials.
    pub nato_critical: bool,
}

/// A country or pseudo country.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CountryEntry {
    /// ISO 3166-1 alpha-3, or `OTH`, `WLD`, `EUU`.
    pub id: String,
    /// English name.
    pub name: String,
    /// World region, `pseudo` for pseudo codes.
    pub region: String,
    /// Blocs it belongs to.
    pub blocs: Vec<String>,
    /// Governance score, 0-1 (1 = best governed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub governance: Option<Figure>,
}

/// A stage of the network.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stage {
    /// Name.
    pub id: String,
    /// Place in the order from mine to purchase.
    pub order: u32,
    /// What its nodes do.
    pub description: String,
}

/// A measure of a government.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Policy {
    /// Stable id: date, actor, measure and first material.
    pub id: String,
    /// Day in force or announced.
    pub date: NaiveDate,
    /// Last day, if known (also a planned one).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
    /// Country or bloc that acts.
    pub actor: String,
    /// What it does.
    pub measure: String,
    /// Materials in the words of the measure.
    pub materials: Vec<String>,
    /// Products of the network that these stand for.
    pub products: Vec<String>,
    /// Countries or blocs concerned, or `ALL`.
    pub targets: Vec<String>,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// New capacity.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Project {
    /// Stable id, made of the name.
    pub id: String,
    /// Name.
    pub name: String,
    /// Where it is.
    pub country: String,
    /// What it makes.
    pub product: String,
    /// Stage that it adds to.
    pub stage: String,
    /// Capacity per year as announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Figure>,
    /// Capacity per year in the unit of the graph's nodes of this product and stage, where the
    /// tables allow to convert it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_in_graph: Option<Figure>,
    /// Year of the start (company targets or estimates).
    pub start_year: i32,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funding: Option<String>,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A stock, target, plan or budget.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Stockpile {
    /// Stable id: holder, material, kind and year.
    pub id: String,
    /// Country code and holder.
    pub holder: String,
    /// Country of the holder.
    pub country: String,
    /// Material in the words of the table.
    pub material: String,
    /// `holding`, `planned_purchase`, `planned_budget`, `annual_plan_ceiling`, `target_days`,
    /// `industry_stock`, `inventory_value` or `new_funding`. Only holdings and industry stocks are
    /// there; the others are plans.
    pub kind: String,
    /// Amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Figure>,
    /// Days of use that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_of_cover: Option<Figure>,
    /// Year of the entry.
    pub year: i32,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Stages of the network, in order.
pub fn stages() -> Vec<Stage> {
    [
        ("host", "a process whose by-products the network holds, but not itself"),
        ("mine", "ore is mined or a raw material is gathered"),
        ("feedstock", "an input of which only its use is known, not its makers"),
        ("refine", "smelting, separation, chemicals, high purity"),
        ("component", "parts and semi-finished goods"),
        ("platform", "an end product of which only the parts are known, not its makers"),
        ("industry", "the end product is made"),
        ("consumption", "the end product is bought"),
        ("other_uses", "what leaves the network: every use that it does not hold"),
    ]
    .iter()
    .zip(0..)
    .map(|((id, description), order)| Stage {
        id: (*id).to_owned(),
        order,
        description: (*description).to_owned(),
    })
    .collect()
}

/// Products, by id.
pub fn products(tables: &Tables) -> Vec<Product> {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    ids.extend(tables.production.iter().filter(|r| r.in_network()).map(|r| r.material.as_str()));
    ids.extend(tables.bill_of_materials.iter().flat_map(|b| [&*b.output, &*b.input]));
    ids.into_iter()
        .map(|id| {
            let of = |stage: &str| {
                tables.production.iter().find(|r| r.material == id && r.stage == stage)
            };
            let stages: Vec<&str> =
                NETWORK_STAGES.into_iter().filter(|stage| of(stage).is_some()).collect();
            let inputs = tables.bill_of_materials.iter().filter(|b| b.output == id);
            Product {
                units: stages
                    .iter()
                    .filter_map(|s| Some((s, of(s)?)))
                    .map(|(s, row)| {
                        let unit = row.unit.clone().map_or("share".into(), |u| format!("{u}/a"));
                        ((*s).to_owned(), unit)
                    })
                    .collect(),
                stages: stages.iter().map(|s| (*s).to_owned()).collect(),
                inputs: inputs.clone().map(|b| b.input.clone()).collect(),
                used_by: tables
                    .bill_of_materials
                    .iter()
                    .filter(|b| b.input == id)
                    .map(|b| b.output.clone())
                    .collect(),
                hosts: inputs
                    .filter(|b| b.source.starts_with("byproduct_of_host"))
                    .map(|b| b.input.clone())
                    .collect(),
                price: of("price").and_then(quantity),
                nato_critical: tables
                    .uses
                    .iter()
                    .any(|u| u.material == id && u.industry == "nato_list"),
                id: id.to_owned(),
            }
        })
        .collect()
}

/// Countries, by code.
pub fn countries(tables: &Tables) -> Vec<CountryEntry> {
    tables
        .countries
        .iter()
        .map(|c| CountryEntry {
            id: c.iso3.clone(),
            name: c.name.clone(),
            region: c.region.clone(),
            blocs: c.blocs.clone(),
            governance: c.governance.map(|value| figure(value, "score 0-1", Some(2022), &c.source)),
        })
        .collect()
}

/// Policies, by date.
pub fn policies(tables: &Tables) -> Vec<Policy> {
    let mut taken = BTreeSet::new();
    tables
        .policies
        .iter()
        .map(|p| {
            let first = p.materials.first().map_or("", String::as_str);
            let words = format!("{}-{}-{}-{first}", p.date, p.actor, p.measure);
            let products: BTreeSet<&str> =
                p.materials.iter().flat_map(|m| tables.products_of(m)).collect();
            Policy {
                id: unique(slug(&words), &mut taken),
                date: p.date,
                until: p.until,
                actor: p.actor.clone(),
                measure: p.measure.clone(),
                materials: p.materials.clone(),
                products: products.into_iter().map(str::to_owned).collect(),
                targets: p.targets.clone(),
                source: p.source.clone(),
                note: p.note.clone(),
            }
        })
        .collect()
}

/// Projects, by name.
pub fn projects(tables: &Tables) -> Vec<Project> {
    let mut taken = BTreeSet::new();
    tables
        .projects
        .iter()
        .map(|p| {
            let unit = p.unit.as_deref().unwrap_or_default();
            Project {
                id: unique(slug(&p.name), &mut taken),
                name: p.name.clone(),
                country: p.country.clone(),
                product: p.material.clone(),
                stage: p.stage.clone(),
                capacity: p.capacity.map(|c| figure(c, unit, Some(p.start_year), &p.source)),
                capacity_in_graph: p
                    .capacity
                    .and_then(|c| in_graph(tables, &p.material, &p.stage, c, unit, &p.source)),
                start_year: p.start_year,
                funding: p.funding.clone(),
                source: p.source.clone(),
                note: p.note.clone(),
            }
        })
        .collect()
}

/// An amount per year in the unit of the graph's nodes of a product and stage: converted where the
/// table has quantities there; else as a share of the world, by the quantities of the product's
/// other stage. Nothing where neither is known.
pub fn in_graph(
    tables: &Tables,
    product: &str,
    stage: &str,
    amount: f64,
    unit: &str,
    source: &str,
) -> Option<Figure> {
    let group = |stage: &str| -> Vec<&ProductionRow> {
        tables.production.iter().filter(|r| r.material == product && r.stage == stage).collect()
    };
    let known = |rows: &[&ProductionRow]| -> Option<(f64, String)> {
        let unit = rows.first()?.unit.clone()?;
        rows.iter().map(|r| r.quantity).sum::<Option<f64>>().map(|total| (total, unit))
    };
    let own = group(stage);
    if own.is_empty() {
        return None;
    }
    let derived = |value: f64, unit: &str, how: &str| Figure {
        value,
        unit: Some(unit.to_owned()),
        class: Some(FigureClass::Derived),
        source: Some(format!("derived: {source}; {how}")),
        ..Figure::default()
    };
    if let Some((_, graph_unit)) = known(&own) {
        let value = amount * convert(unit, &graph_unit)?;
        return Some(derived(value, &format!("{graph_unit}/a"), "converted from the stated unit"));
    }
    NETWORK_STAGES.into_iter().filter(|s| *s != stage).find_map(|other| {
        let (total, other_unit) = known(&group(other))?;
        let value = amount * convert(unit, &other_unit)? / total;
        let how = format!("over the world's {other} output of {total} {other_unit}");
        Some(derived(value, "share of world output", &how))
    })
}

/// World output of a product in a year where the table has quantities: (amount, unit, stage), of
/// the stage asked for if it can be, else of the product's first stage that has them.
pub fn world_output(tables: &Tables, product: &str, stage: &str) -> Option<(f64, String, String)> {
    std::iter::once(stage).chain(NETWORK_STAGES.into_iter().filter(|s| *s != stage)).find_map(
        |at| {
            let rows: Vec<&ProductionRow> = tables
                .production
                .iter()
                .filter(|r| r.material == product && r.stage == at)
                .collect();
            let unit = rows.first()?.unit.clone()?;
            let total = rows.iter().map(|r| r.quantity).sum::<Option<f64>>()?;
            Some((total, unit, at.to_owned()))
        },
    )
}

/// Stockpiles, by holder, material and kind.
pub fn stockpiles(tables: &Tables) -> Vec<Stockpile> {
    let mut taken = BTreeSet::new();
    tables
        .stockpiles
        .iter()
        .map(|s| {
            let words = format!("{}-{}-{}-{}", s.holder, s.material, s.kind, s.year);
            let unit = s.unit.as_deref().unwrap_or_default();
            Stockpile {
                id: unique(slug(&words), &mut taken),
                holder: s.holder.clone(),
                country: s.country().to_owned(),
                material: s.material.clone(),
                kind: s.kind.clone(),
                quantity: s.quantity.map(|q| figure(q, unit, Some(s.year), &s.source)),
                days_of_cover: s.days_of_cover.map(|d| figure(d, "d", Some(s.year), &s.source)),
                year: s.year,
                source: s.source.clone(),
                note: s.note.clone(),
            }
        })
        .collect()
}

fn figure(value: f64, unit: &str, year: Option<i32>, source: &str) -> Figure {
    Figure {
        value,
        unit: (!unit.is_empty()).then(|| unit.to_owned()),
        year,
        class: Some(class_of_source(source)),
        source: Some(source.to_owned()),
        ..Figure::default()
    }
}

fn quantity(row: &ProductionRow) -> Option<Figure> {
    let unit = row.unit.as_deref().unwrap_or_default();
    let per_year = if row.in_network() { format!("{unit}/a") } else { unit.to_owned() };
    row.quantity.map(|q| figure(q, &per_year, Some(row.year), &row.source))
}

/// Lower-case letters, digits and single hyphens.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// The id, with a number behind it if an earlier entry has it.
fn unique(id: String, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = id.clone();
    let mut n = 1;
    while !taken.insert(candidate.clone()) {
        n += 1;
        candidate = format!("{id}-{n}");
    }
    candidate
}
