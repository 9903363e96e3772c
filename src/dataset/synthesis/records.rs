//! From a plan to flows, each with its quantity, class and source.

use std::collections::{BTreeMap, BTreeSet};

use super::balance::{Balance, Pin, Side, balance, follow_hosts};
use super::plan::{Cause, Consumer, Group, Link, LinkKind, Place, Plan};
use super::{Note, NoteKind, Perturbation, SynthesisError};

use crate::dataset::tables::{Tables, TradeRow, class_of_source};
use crate::dataset::units::tonnes_per;
use crate::model::figure::FigureClass;
use crate::model::{Countries, FlowRecord};

/// A flow this small beside both of its ends is rounding of the fitting.
const NEGLIGIBLE: f64 = 1e-10;

/// Makes the records of a plan.
pub(super) struct Records<'a> {
    pub(super) tables: &'a Tables,
    perturbation: &'a Perturbation,
    pub(super) plan: &'a Plan<'a>,
    pub(super) countries: Countries,
    pub(super) flows: Vec<FlowRecord>,
    pub(super) notes: Vec<Note>,
    /// Trade rows that pin something, by position.
    pub(super) used_trade: BTreeSet<usize>,
    /// Pairs (output, input) that have a flow.
    pub(super) pairs: BTreeSet<(&'a str, &'a str)>,
    /// Inputs of each node that has any (stage links left out).
    pub(super) inputs: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

/// A pin with the trade row that it comes from.
struct TradePin<'a> {
    pin: Pin<'a>,
    row: &'a TradeRow,
}

impl<'a> Records<'a> {
    pub(super) fn new(
        tables: &'a Tables,
        perturbation: &'a Perturbation,
        plan: &'a Plan<'a>,
    ) -> Self {
        let notes = plan
            .normalised
            .iter()
            .map(|(product, stage, sum)| Note {
                kind: NoteKind::Normalised,
                subject: format!("{product}.{stage}"),
                text: format!("the shares sum to {sum:.4} and were normalised to 1"),
            })
            .collect();
        Self {
            tables,
            perturbation,
            plan,
            countries: tables.country_register(),
            flows: Vec::new(),
            notes,
            used_trade: BTreeSet::new(),
            pairs: BTreeSet::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// Makes the flows of all links.
    pub(super) fn links(&mut self) -> Result<(), SynthesisError> {
        let plan = self.plan;
        for link in &plan.links {
            match link.kind {
                LinkKind::Joint => self.joint(link),
                LinkKind::Balanced | LinkKind::View => self.balanced(link)?,
            }
        }
        Ok(())
    }

    fn balanced(&mut self, link: &'a Link<'a>) -> Result<(), SynthesisError> {
        let plan = self.plan;
        let supplier = &plan.groups[link.supplier];
        let rows = sides(supplier);
        let mut columns: Vec<Side<'_>> = Vec::new();
        let mut ends: Vec<(&'a Consumer<'a>, &'a Place)> = Vec::new();
        for consumer in &link.consumers {
            for place in &plan.groups[consumer.group].places {
                columns
                    .push(Side { country: &place.country, amount: consumer.amount * place.share });
                ends.push((consumer, place));
            }
        }
        let pins = self.pins(supplier);
        let bare: Vec<Pin<'_>> = pins.iter().map(|p| p.pin).collect();
        let countries = &self.countries;
        let in_eu = |code: &str| countries.in_bloc(code, "EU");
        let table =
            balance(&rows, &columns, &bare, in_eu).ok_or_else(|| SynthesisError::Unbalanced {
                product: supplier.product.clone(),
                stage: supplier.stage.clone(),
            })?;
        let group = format!("{}.{}", supplier.product, supplier.stage);
        if table.short_pins > 0 {
            self.notes.push(Note {
                kind: NoteKind::ShortPins,
                subject: group.clone(),
                text: format!(
                    "{} import shares are above what their exporters have left; the rest was fitted",
                    table.short_pins
                ),
            });
        }
        if table.forced {
            self.notes.push(Note {
                kind: NoteKind::ForcedPins,
                subject: group,
                text: "the balance needs more from pinned exporters than their import shares say"
                    .into(),
            });
        }
        for (i, place) in supplier.places.iter().enumerate() {
            for (j, (consumer, end)) in ends.iter().enumerate() {
                let cell = Cell::of(&table, i, j);
                let amount = cell.own + cell.pinned + cell.fitted;
                if amount <= NEGLIGIBLE * rows[i].amount.min(columns[j].amount) {
                    continue;
                }
                let pin = cell.pin.map(|k| pins[k].row);
                let (class, how) = self.provenance(&cell, pin, supplier, consumer);
                let mut flow = FlowRecord::new(&place.id, &end.id, amount);
                flow.source = Some(format!("{how}; {}", cause_text(consumer.cause)));
                flow.class = Some(class);
                flow.joint = link.kind == LinkKind::View;
                self.push(flow, supplier, consumer, end);
            }
        }
        Ok(())
    }

    fn provenance(
        &self,
        cell: &Cell,
        pin: Option<&TradeRow>,
        supplier: &Group,
        consumer: &Consumer<'_>,
    ) -> (FigureClass, String) {
        let mut parts: Vec<(FigureClass, String)> = Vec::new();
        if cell.own > 0.0 {
            parts.push((FigureClass::Derived, "own supply first".into()));
        }
        if let (true, Some(row)) = (cell.pinned > 0.0, pin) {
            parts.push((
                class_of_source(&row.source),
                format!("pinned to the import share {} of {}: {}", row.share, row.year, row.source),
            ));
        }
        if cell.fitted > 0.0 {
            parts
                .push((FigureClass::Derived, "fitted to what is left of outputs and needs".into()));
        }
        let class = if supplier.rowless || self.plan.groups[consumer.group].rowless {
            FigureClass::Estimate
        } else {
            parts.iter().map(|p| p.0).max().unwrap_or(FigureClass::Derived)
        };
        let text: Vec<String> = parts.into_iter().map(|p| p.1).collect();
        (class, text.join(" and "))
    }

    fn push(
        &mut self,
        mut flow: FlowRecord,
        supplier: &'a Group,
        consumer: &Consumer<'_>,
        end: &'a Place,
    ) {
        let plan = self.plan;
        flow.unit = Some(supplier.unit.clone());
        flow.year = supplier.year;
        let output = &plan.groups[consumer.group];
        self.pairs.insert((&output.product, &supplier.product));
        if output.product != supplier.product {
            self.inputs.entry(&end.id).or_default().insert(&supplier.product);
        }
        self.flows.push(flow);
    }

    /// By-products: each consumer follows the host of its country.
    fn joint(&mut self, link: &'a Link<'a>) {
        let plan = self.plan;
        let host = &plan.groups[link.supplier];
        let rows = sides(host);
        for consumer in &link.consumers {
            let group = &plan.groups[consumer.group];
            let columns = sides(group);
            let countries = &self.countries;
            let parts = follow_hosts(&rows, &columns, |c| countries.in_bloc(c, "EU"));
            // Host output behind one unit of share, so that no host gives more than it makes and,
            // where tonnes of host per tonne are known, not more than is needed.
            let drawn = |i: usize| -> f64 {
                group.places.iter().zip(&parts).map(|(p, (part, _))| p.share * part[i]).sum()
            };
            let most = rows
                .iter()
                .enumerate()
                .filter(|&(i, _)| drawn(i) > 0.0)
                .map(|(i, r)| r.amount / drawn(i))
                .fold(f64::INFINITY, f64::min);
            let scale = self.host_need(host, group).map_or(most, |need| need.min(most));
            for (place, (part, own)) in group.places.iter().zip(&parts) {
                for (i, &part) in part.iter().enumerate() {
                    let amount = scale * place.share * part;
                    if amount <= 0.0 || !amount.is_finite() {
                        continue;
                    }
                    let mut flow = FlowRecord::new(&host.places[i].id, &place.id, amount);
                    flow.joint = true;
                    let rowless = host.rowless || group.rowless;
                    flow.class = Some(if *own && !rowless {
                        FigureClass::Derived
                    } else {
                        FigureClass::Estimate
                    });
                    let how = if *own {
                        "follows the host of its own country or bloc"
                    } else {
                        "no host in its country: follows the others' hosts by output"
                    };
                    flow.source = Some(format!("{how}; {}", cause_text(consumer.cause)));
                    self.push(flow, host, consumer, place);
                }
            }
        }
    }

    /// Host output that a by-product needs, in the unit of the host, where both have tonnes and
    /// the bill of materials says tonnes of host per tonne.
    fn host_need(&self, host: &Group, output: &Group) -> Option<f64> {
        let row = self
            .tables
            .bill_of_materials
            .iter()
            .find(|b| b.output == output.product && b.input == host.product)?;
        let per_tonne = row.quantity.filter(|_| row.unit.as_deref() == Some("t host per t"))?;
        Some(per_tonne * output.total() * tonnes_per(&output.unit)? / tonnes_per(&host.unit)?)
    }

    /// The import shares of a supplying group: the newest year of each importer.
    fn pins(&mut self, supplier: &Group) -> Vec<TradePin<'a>> {
        let plan = self.plan;
        let stages: Vec<&str> = plan
            .groups
            .iter()
            .filter(|g| g.product == supplier.product && !g.rowless)
            .filter(|g| ["mine", "refine", "component"].contains(&g.stage.as_str()))
            .map(|g| g.stage.as_str())
            .collect();
        let is_last = stages.last().is_some_and(|s| *s == supplier.stage);
        let (tables, perturbation) = (self.tables, self.perturbation);
        let rows: Vec<(usize, &'a TradeRow)> = tables
            .trade
            .iter()
            .enumerate()
            .filter(|(_, t)| t.material == supplier.product && is_flow_stage(&t.stage))
            .filter(|(_, t)| {
                t.stage == supplier.stage || (is_last && !stages.contains(&t.stage.as_str()))
            })
            .collect();
        let importers: BTreeSet<&str> = rows.iter().map(|(_, t)| t.importer.as_str()).collect();
        let mut pins = Vec::new();
        for importer in importers {
            let of = |t: &TradeRow| t.importer == importer;
            // Shares of the stage itself count before shares of a stage that does not exist here.
            let exact = rows.iter().any(|(_, t)| of(t) && t.stage == supplier.stage);
            let mine = |t: &TradeRow| of(t) && (!exact || t.stage == supplier.stage);
            let year = rows.iter().filter(|(_, t)| mine(t)).map(|(_, t)| t.year).max();
            let chosen: Vec<&(usize, &'a TradeRow)> =
                rows.iter().filter(|(_, t)| mine(t) && Some(t.year) == year).collect();
            let drawn = |&(i, t): &(usize, &TradeRow)| t.share * perturbation.trade(i);
            let stated: f64 = chosen.iter().map(|(_, t)| t.share).sum();
            let sum: f64 = chosen.iter().map(|c| drawn(c)).sum();
            if sum <= 0.0 {
                continue;
            }
            let scale = stated.min(1.0) / sum;
            for &&(i, row) in &chosen {
                self.used_trade.insert(i);
                if row.stage != supplier.stage {
                    self.notes.push(Note {
                        kind: NoteKind::StageReadAsSupply,
                        subject: trade_name(row),
                        text: format!(
                            "{} has no {} stage; read as {}",
                            row.material, row.stage, supplier.stage
                        ),
                    });
                }
                let exporter = supplier.places.iter().position(|p| p.country == row.exporter);
                match exporter {
                    // "Other" exporters are those that the row's importer does not name, which
                    // is not what "other" producers are: they stay with the fitting.
                    _ if row.exporter == "OTH" => {}
                    Some(place) => pins.push(TradePin {
                        pin: Pin {
                            importer: &row.importer,
                            row: place,
                            share: drawn(&(i, row)) * scale,
                        },
                        row,
                    }),
                    None => self.notes.push(Note {
                        kind: NoteKind::ExporterWithoutNode,
                        subject: trade_name(row),
                        text: format!(
                            "{}.{}.{} does not exist; its share {} went to the fitting",
                            supplier.product, supplier.stage, row.exporter, row.share
                        ),
                    }),
                }
            }
        }
        pins
    }
}

struct Cell {
    own: f64,
    pinned: f64,
    fitted: f64,
    pin: Option<usize>,
}

impl Cell {
    fn of(table: &Balance, i: usize, j: usize) -> Self {
        let k = i * table.columns + j;
        let (own, pinned, fitted) = (table.own[k], table.pinned[k], table.fitted[k]);
        // Parts that are rounding beside the whole would only blur the source.
        let floor = 1e-9 * (own + pinned + fitted);
        let part = |amount: f64| if amount > floor { amount } else { 0.0 };
        Self { own: part(own), pinned: part(pinned), fitted: part(fitted), pin: table.pin[k] }
    }
}

fn sides(group: &Group) -> Vec<Side<'_>> {
    group.places.iter().map(|p| Side { country: &p.country, amount: p.output }).collect()
}

pub(super) fn is_flow_stage(stage: &str) -> bool {
    ["mine", "refine", "component"].contains(&stage)
}

pub(super) fn trade_name(row: &TradeRow) -> String {
    format!(
        "trade.csv {} {} {} {} {}",
        row.importer, row.material, row.stage, row.year, row.exporter
    )
}

fn cause_text(cause: Cause<'_>) -> String {
    match cause {
        Cause::NextStage => "whole output of the stage before".into(),
        Cause::Use(row) if row.kind == "joint" => row.source.clone(),
        Cause::Use(row) => format!("use share ({}): {}", row.class, row.source),
        Cause::NoKnownUse => "the tables name no use".into(),
    }
}
