//! What the network consists of: groups of nodes by product and stage, and the links between them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Perturbation, SynthesisError};
use crate::dataset::tables::{
    NETWORK_STAGES, OTHER_USES, ProductionRow, Tables, UseShareRow, class_of_source,
};
use crate::model::figure::FigureClass;

/// Stage of an end product that production.csv has no rows of (an aircraft, a missile).
pub(super) const PLATFORM: &str = "platform";
/// Stage of a process whose by-products the network holds, but not itself.
pub(super) const HOST: &str = "host";
/// Stage of an input that production.csv has no rows of.
pub(super) const FEEDSTOCK: &str = "feedstock";
/// Sums of shares this near to 1 differ from it by the rounding of the table only.
const ROUNDED_SUM: f64 = 2e-3;

/// One node to be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) country: String,
    /// Output per year, in the unit of the group.
    pub(super) output: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) class: FigureClass,
    pub(super) source: String,
    pub(super) note: Option<String>,
    /// Part of the group's output, 0-1.
    pub(super) share: f64,
}

/// The nodes of one stage of one product.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) product: String,
    pub(super) stage: String,
    pub(super) unit: String,
    pub(super) year: Option<i32>,
    /// In the order of their countries.
    pub(super) places: Vec<Place>,
    /// True if production.csv has no rows of it: one `WLD` node stands for all.
    pub(super) rowless: bool,
}

impl Group {
    /// Output of all places per year.
    pub(super) fn total(&self) -> f64 {
        self.places.iter().map(|p| p.output).sum()
    }
}

/// Why a link exists, and where its quantity comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    /// The next stage of the same product takes the whole output.
    NextStage,
    /// A row of use_shares.csv.
    Use(&'a UseShareRow),
    /// Nothing in the tables says who uses it: all of it leaves the network.
    NoKnownUse,
}

/// A consuming group and the part of the supply that it takes.
#[derive(Debug, Clone)]
pub(super) struct Consumer<'a> {
    pub(super) group: usize,
    /// Per year, in the unit of the supplying group.
    pub(super) amount: f64,
    pub(super) cause: Cause<'a>,
}

/// One supplying group with the consumers that compete for its output.
#[derive(Debug, Clone)]
pub(super) struct Link<'a> {
    pub(super) supplier: usize,
    pub(super) consumers: Vec<Consumer<'a>>,
    pub(super) kind: LinkKind,
}

/// How a link shares out its supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkKind {
    /// Every supplier's output is used up.
    Balanced,
    /// A second view of the same output: balanced, but it takes nothing from the other uses.
    View,
    /// By-products follow their host.
    Joint,
}

/// Groups and links.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) groups: Vec<Group>,
    pub(super) links: Vec<Link<'a>>,
    /// Sums of shares that were normalised to 1, by product and stage.
    pub(super) normalised: Vec<(String, String, f64)>,
}

#[derive(Default)]
struct Stages {
    /// Indices of the production stages, in order.
    production: Vec<usize>,
    consumption: Option<usize>,
}

/// Lays out the network of the tables.
pub(super) fn plan<'a>(
    tables: &'a Tables,
    perturbation: &Perturbation,
) -> Result<Plan<'a>, SynthesisError> {
    let mut plan = Plan { groups: Vec::new(), links: Vec::new(), normalised: Vec::new() };
    let mut stages: BTreeMap<&str, Stages> = BTreeMap::new();
    let mut start = 0;
    while start < tables.production.len() {
        let first = &tables.production[start];
        let rows = tables.production[start..]
            .iter()
            .take_while(|r| r.material == first.material && r.stage == first.stage)
            .count();
        if first.in_network() {
            let index = plan.groups.len();
            let group = plan.group(tables, start..start + rows, perturbation)?;
            plan.groups.push(group);
            let entry = stages.entry(&first.material).or_default();
            if first.stage == NETWORK_STAGES[4] {
                entry.consumption = Some(index);
            } else {
                entry.production.push(index);
            }
        }
        start += rows;
    }
    plan.rowless(tables, &mut stages);
    plan.link(tables, perturbation, &stages)?;
    Ok(plan)
}

impl<'a> Plan<'a> {
    fn group(
        &mut self,
        tables: &Tables,
        rows: std::ops::Range<usize>,
        perturbation: &Perturbation,
    ) -> Result<Group, SynthesisError> {
        let slice = &tables.production[rows.clone()];
        let first = &slice[0];
        let (product, stage) = (first.material.clone(), first.stage.clone());
        let share = |r: &ProductionRow| r.share.unwrap_or_default();
        let stated: f64 = slice.iter().map(share).sum();
        let in_tonnes = slice.iter().all(|r| r.quantity.is_some());
        // Quantities decide where a group has them, because shares are rounded to four digits.
        let amount =
            |r: &ProductionRow| if in_tonnes { r.quantity.unwrap_or_default() } else { share(r) };
        let total = if in_tonnes { slice.iter().map(amount).sum() } else { 1.0 };
        let drawn: Vec<f64> = rows
            .clone()
            .map(|i| amount(&tables.production[i]) * perturbation.production(i))
            .collect();
        let sum: f64 = drawn.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(SynthesisError::EmptyGroup { product, stage });
        }
        // Left alone where the sum misses the total by rounding only: 0.17 stays 0.17.
        let unless_rounding = |s: f64| if (s - 1.0).abs() > 1e-9 { s } else { 1.0 };
        let scale = unless_rounding(total / sum);
        let claimed = unless_rounding(1.0 / stated) * total;
        let normalised = !in_tonnes && (stated - 1.0).abs() > ROUNDED_SUM;
        if normalised {
            self.normalised.push((product.clone(), stage.clone(), stated));
        }
        // A pair of claims `claim_<stage>_low` and `_high` is the range of its country's share.
        let claims: Vec<&ProductionRow> = tables
            .production
            .iter()
            .filter(|r| r.stage.starts_with("claim_") && r.material == product)
            .filter(|r| r.stage.ends_with("_low") || r.stage.ends_with("_high"))
            .collect();
        let place = |(row, drawn): (&ProductionRow, f64)| {
            let output = drawn * scale;
            let end = |which: &str| {
                claims
                    .iter()
                    .find(|c| {
                        c.country == row.country
                            && c.stage.strip_prefix("claim_").and_then(|s| s.strip_prefix(&*stage))
                                == Some(which)
                    })
                    .and_then(|c| c.share)
                    .map(|s| s * claimed)
            };
            Place {
                id: format!("{product}.{stage}.{}", row.country),
                country: row.country.clone(),
                output,
                low: end("_low").map(|low| low.min(output)),
                high: end("_high").map(|high| high.max(output)),
                class: if normalised { FigureClass::Derived } else { class_of_source(&row.source) },
                source: if normalised {
                    format!("{}; shares that sum to {stated:.4} normalised to 1", row.source)
                } else {
                    row.source.clone()
                },
                note: row.note.clone(),
                share: output / (sum * scale),
            }
        };
        Ok(Group {
            unit: match (&first.unit, in_tonnes) {
                (Some(unit), true) => format!("{unit}/a"),
                _ if stage == NETWORK_STAGES[4] => "share of world purchases".to_owned(),
                _ => "share of world output".to_owned(),
            },
            year: Some(first.year),
            places: slice.iter().zip(drawn).map(place).collect(),
            rowless: false,
            product: product.clone(),
            stage: stage.clone(),
        })
    }

    /// One world node for each product of the bill of materials without production rows.
    fn rowless(&mut self, tables: &'a Tables, stages: &mut BTreeMap<&'a str, Stages>) {
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for row in &tables.bill_of_materials {
            missing.extend([row.output.as_str(), row.input.as_str()]);
        }
        missing.retain(|p| stages.get(p).is_none_or(|s| s.production.is_empty()));
        for product in missing {
            let makes = tables.bill_of_materials.iter().any(|b| b.output == product);
            let used = tables.use_shares.iter().any(|u| u.input == product && u.kind == "use");
            let stage = match (makes, used) {
                (true, _) => PLATFORM,
                (false, true) => FEEDSTOCK,
                (false, false) => HOST,
            };
            stages.entry(product).or_default().production.push(self.groups.len());
            self.groups.push(single(
                product,
                stage,
                1.0,
                "share of world output".to_owned(),
                None,
                format!(
                    "estimate: one node for the world's {product}, because production.csv has no \
                     rows of it"
                ),
                FigureClass::Estimate,
            ));
        }
    }

    fn link(
        &mut self,
        tables: &'a Tables,
        perturbation: &Perturbation,
        stages: &BTreeMap<&'a str, Stages>,
    ) -> Result<(), SynthesisError> {
        for (product, own) in stages {
            for pair in own.production.windows(2) {
                let amount = self.groups[pair[0]].total();
                self.links.push(Link {
                    supplier: pair[0],
                    consumers: vec![Consumer { group: pair[1], amount, cause: Cause::NextStage }],
                    kind: LinkKind::Balanced,
                });
            }
            let Some(&last) = own.production.last() else {
                return Err(SynthesisError::OnlyConsumption { product: (*product).to_owned() });
            };
            let total = self.groups[last].total();
            let rows: Vec<(&UseShareRow, f64)> = tables
                .use_shares
                .iter()
                .enumerate()
                .filter(|(_, u)| u.input == *product)
                .map(|(i, u)| (u, u.use_share.unwrap_or_default() * perturbation.use_shares(i)))
                .collect();
            let sum: f64 = rows.iter().map(|r| r.1).sum();
            let mut consumers = Vec::new();
            let mut rest = None;
            for &(row, share) in rows.iter().filter(|(row, _)| row.kind == "use") {
                let amount = total * share / sum;
                if amount.is_nan() || amount <= 0.0 {
                    continue;
                }
                if row.consumer == OTHER_USES {
                    rest = Some((amount, Cause::Use(row)));
                } else if let Some(&group) =
                    stages.get(row.consumer.as_str()).and_then(|s| s.production.last())
                {
                    consumers.push(Consumer { group, amount, cause: Cause::Use(row) });
                }
            }
            let all =
                |cause| Consumer { group: own.consumption.unwrap_or(last), amount: total, cause };
            match own.consumption {
                // What is bought where is then a second view of an output that has its uses.
                Some(_) if !consumers.is_empty() || rest.is_some() => self.links.push(Link {
                    supplier: last,
                    consumers: vec![all(Cause::NextStage)],
                    kind: LinkKind::View,
                }),
                Some(_) => consumers.push(all(Cause::NextStage)),
                None if consumers.is_empty() && rest.is_none() => {
                    rest = Some((total, Cause::NoKnownUse));
                }
                None => {}
            }
            if let Some((amount, cause)) = rest {
                let source = match cause {
                    Cause::Use(row) => format!("derived: use share of {product}: {}", row.source),
                    _ => format!("derived: the tables name no use of {product}; all of it"),
                };
                let sink = single(
                    product,
                    OTHER_USES,
                    amount,
                    self.groups[last].unit.clone(),
                    self.groups[last].year,
                    source,
                    FigureClass::Derived,
                );
                consumers.push(Consumer { group: self.groups.len(), amount, cause });
                self.groups.push(sink);
            }
            self.links.push(Link { supplier: last, consumers, kind: LinkKind::Balanced });

            for &(row, _) in rows.iter().filter(|(row, _)| row.kind == "joint") {
                // A by-product comes into being at its first stage, from the same stage of its
                // host (ore from ore), or from the host's last stage if it has no such stage.
                let entry = stages.get(row.consumer.as_str()).and_then(|s| s.production.first());
                let Some(&entry) = entry else { continue };
                let host = own
                    .production
                    .iter()
                    .copied()
                    .find(|&g| self.groups[g].stage == self.groups[entry].stage)
                    .unwrap_or(last);
                self.links.push(Link {
                    supplier: host,
                    consumers: vec![Consumer {
                        group: entry,
                        amount: self.groups[host].total(),
                        cause: Cause::Use(row),
                    }],
                    kind: LinkKind::Joint,
                });
            }
        }
        Ok(())
    }
}

fn single(
    product: &str,
    stage: &str,
    output: f64,
    unit: String,
    year: Option<i32>,
    source: String,
    class: FigureClass,
) -> Group {
    Group {
        product: product.to_owned(),
        stage: stage.to_owned(),
        unit,
        year,
        places: vec![Place {
            id: format!("{product}.{stage}.WLD"),
            country: "WLD".to_owned(),
            output,
            low: None,
            high: None,
            class,
            source,
            note: None,
            share: 1.0,
        }],
        rowless: stage != OTHER_USES,
    }
}
