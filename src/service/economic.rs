//! What a loss means in value added, beside published estimates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::analyses::Analysis;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::impact::{Shocks, TargetNodes};
use crate::dataset;
use crate::dataset::tables::{BenchmarkRow, class_of_source};
use crate::graph::Snapshot;
use crate::model::FigureClass;
use crate::model::scenario::{ScenarioBody, Shock, Target};
use crate::model::selector::{OneOrMany, Selector, suggest};

/// What stands between these figures and an estimate of GDP.
const LEFT_OUT: [&str; 5] = [
    "prices: a short material becomes dear, users that need it least give way first, and output \
     falls by far less than the quantity that is missing",
    "substitution, thrift and recycling that the scenario does not name",
    "stocks: the steady state is where they have run out",
    "the rest of the economy: neither suppliers upstream nor users downstream of these industries, \
     nor what workers and capital do instead, are counted",
    "use by value: an industry stops for want of grams; a market would ration by willingness to pay",
];

/// Value added at risk under the scenario of an impact answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EconomicQuestion {
    /// The scenario.
    #[schema(value_type = String)]
    pub impact: String,
    /// The scenario, written out.
    pub scenario: ScenarioBody,
    /// Country whose industries are looked at.
    pub country: String,
}

/// Value added at risk.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EconomicAnswer {
    /// Answer that it belongs to.
    pub impact: String,
    /// Country.
    pub country: String,
    /// Value added at risk over all industries of the table.
    pub at_risk: ValueRange,
    /// Industries, most at risk first.
    pub industries: Vec<IndustryAtRisk>,
    /// Published estimates of scenarios that withhold the same materials from the same country,
    /// else all of this country.
    pub benchmarks: Vec<BenchmarkView>,
    /// What the figures are.
    pub meaning: &'static str,
    /// What our model leaves out.
    pub left_out: [&'static str; 5],
}

/// Money with its range.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ValueRange {
    /// Central value.
    pub value: f64,
    /// With the lower ends of the table.
    pub low: f64,
    /// With the upper ends of the table.
    pub high: f64,
    /// Unit.
    pub unit: String,
}

/// One industry.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IndustryAtRisk {
    /// Industry.
    pub industry: String,
    /// Loss of its output in the steady state, 0-1.
    pub loss: f64,
    /// Value added per year.
    pub value_added: ValueRange,
    /// Loss times value added.
    pub at_risk: ValueRange,
    /// Part of all that is at risk.
    pub share: f64,
    /// Year of the value added.
    pub year: i32,
    /// How the value added is known.
    pub class: FigureClass,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A published estimate beside ours.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BenchmarkView {
    /// Name.
    pub benchmark: String,
    /// Materials that are withheld.
    pub materials: Vec<String>,
    /// What is estimated.
    pub measure: String,
    /// The estimate.
    pub published: ValueRange,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// True if this scenario withholds exactly these materials of this country.
    pub same_scenario: bool,
    /// Ours over the published value, as a power of ten; `null` if the scenarios differ or ours is
    /// nothing.
    pub orders_of_magnitude: Option<f64>,
}

impl Analysis for EconomicQuestion {
    const PREFIX: &'static str = "eco";
    const NAME: &'static str = "economic";
    type Answer = EconomicAnswer;

    fn location(&self, _id: &str) -> String {
        format!("/v1/impacts/{}/economic?country={}", self.impact, self.country)
    }

    fn answer(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<EconomicAnswer, ServiceError> {
        let body = &self.scenario;
        let shocks = Shocks::compile(snapshot, &body.shocks)?;
        let model = service.models.get(snapshot, &body.model, &body.responses)?;
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, progress)?;
        let rows = dataset::assessment().value_added.iter().filter(|r| r.country == self.country);
        let mut industries = Vec::new();
        for row in rows {
            let select = Selector {
                country: [row.country.as_str()].into(),
                allow_empty: true,
                ..Selector::product_stage(&row.industry, "industry")
            };
            let target = Target { name: row.industry.clone(), select };
            let target = TargetNodes::resolve(snapshot, &target, "target")?;
            if target.nodes.is_empty() {
                continue;
            }
            let loss = target.mean(|v| solution.loss(v));
            let range = |factor: f64| ValueRange {
                value: row.value * factor,
                low: row.low * factor,
                high: row.high * factor,
                unit: row.unit.clone(),
            };
            industries.push(IndustryAtRisk {
                industry: row.industry.clone(),
                loss,
                value_added: range(1.0),
                at_risk: range(loss),
                share: 0.0,
                year: row.year,
                class: class_of_source(&row.source),
                source: row.source.clone(),
                note: row.note.clone(),
            });
        }
        if industries.is_empty() {
            return Err(self.unknown_country(snapshot));
        }
        let sum = |part: &dyn Fn(&ValueRange) -> f64| -> f64 {
            industries.iter().map(|i| part(&i.at_risk)).sum()
        };
        let at_risk = ValueRange {
            value: sum(&|r| r.value),
            low: sum(&|r| r.low),
            high: sum(&|r| r.high),
            unit: industries[0].at_risk.unit.clone(),
        };
        for industry in &mut industries {
            if at_risk.value > 0.0 {
                industry.share = industry.at_risk.value / at_risk.value;
            }
        }
        industries.sort_by(|a, b| {
            b.at_risk.value.total_cmp(&a.at_risk.value).then_with(|| a.industry.cmp(&b.industry))
        });
        Ok(EconomicAnswer {
            impact: self.impact.clone(),
            country: self.country.clone(),
            benchmarks: self.benchmarks(at_risk.value),
            at_risk,
            industries,
            meaning: "value added of industries times the share of their output that stops in the \
                      steady state: an upper end for a loss that lasts a year, not an estimate of \
                      GDP",
            left_out: LEFT_OUT,
        })
    }
}

impl EconomicQuestion {
    fn unknown_country(&self, snapshot: &Snapshot) -> ServiceError {
        let known: Vec<&str> =
            dataset::assessment().value_added.iter().map(|r| r.country.as_str()).collect();
        ServiceError::Impossible {
            param: Some("country".into()),
            problem: format!(
                "no value added of an industry of {} in {} is known",
                self.country,
                snapshot.info().graph
            ),
            hint: Some(match suggest(&self.country, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    "the table value_added.csv has USA; the graph needs nodes of stage industry"
                        .to_owned()
                }
            }),
        }
    }

    fn benchmarks(&self, ours: f64) -> Vec<BenchmarkView> {
        let all: Vec<&BenchmarkRow> =
            dataset::assessment().benchmarks.iter().filter(|b| b.country == self.country).collect();
        let touches = |b: &&&BenchmarkRow| {
            b.materials
                .iter()
                .any(|m| self.scenario.shocks.iter().any(|s| products(s).iter().any(|p| p == m)))
        };
        let related: Vec<&BenchmarkRow> = all.iter().filter(touches).copied().collect();
        let shown = if related.is_empty() { all } else { related };
        shown
            .into_iter()
            .map(|b| {
                let same = self.withholds(&b.actor, &b.materials);
                BenchmarkView {
                    benchmark: b.benchmark.clone(),
                    materials: b.materials.clone(),
                    measure: b.measure.clone(),
                    published: ValueRange {
                        value: b.value,
                        low: b.low,
                        high: b.high,
                        unit: b.unit.clone(),
                    },
                    source: b.source.clone(),
                    note: b.note.clone(),
                    same_scenario: same,
                    orders_of_magnitude: (same && ours > 0.0 && b.value > 0.0)
                        .then(|| (ours / b.value).log10()),
                }
            })
            .collect()
    }

    /// True if every shock withholds some of `materials` of `actor` in full and from everyone, and
    /// together all.
    fn withholds(&self, actor: &str, materials: &[String]) -> bool {
        let abroad = Selector {
            not: Some(Box::new(Selector { country: one(actor), ..Selector::default() })),
            ..Selector::default()
        };
        let full = |s: &Shock| {
            s.loss.is_none_or(|l| l >= 1.0)
                && s.restrict.as_ref().is_none_or(|r| {
                    let everyone = |to: &Selector| *to == Selector::default() || *to == abroad;
                    r.to.as_ref().is_none_or(everyone) && r.pass.unwrap_or(0.0) <= 0.0
                })
                && s.flow.is_none()
        };
        let by = |s: &Shock| s.select.as_ref().is_some_and(|x| x.country == one(actor));
        let shocks = &self.scenario.shocks;
        let named: std::collections::BTreeSet<String> = shocks.iter().flat_map(products).collect();
        !shocks.is_empty()
            && shocks.iter().all(|s| full(s) && by(s) && !products(s).is_empty())
            && named.iter().eq(materials.iter().collect::<std::collections::BTreeSet<_>>())
    }
}

fn one(text: &str) -> OneOrMany {
    OneOrMany(vec![text.to_owned()])
}

fn products(shock: &Shock) -> Vec<String> {
    shock.select.iter().flat_map(|s| s.product.iter().map(str::to_owned)).collect()
}

impl Service {
    /// The economic question of an impact answer. Blocks.
    ///
    /// # Errors
    /// An unknown answer or country.
    pub fn economic_question(
        &self,
        impact: &str,
        country: &str,
    ) -> Result<(Arc<Snapshot>, EconomicQuestion), ServiceError> {
        let question = self.question_of(impact)?;
        let country = question
            .snapshot
            .countries()
            .canonical(country)
            .map_err(|problem| ServiceError::malformed("country", problem))?;
        let economic =
            EconomicQuestion { impact: impact.to_owned(), scenario: question.body, country };
        Ok((question.snapshot, economic))
    }
}
