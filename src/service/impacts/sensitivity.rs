//! Which figures drive the range of an answer, and which to check first.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::answer::LossRange;
use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, TargetNodes};
use crate::analysis::uncertainty::ensemble::{Quantities, Samples};
use crate::analysis::uncertainty::sensitivity::{Bar, Drivers, drivers, tornado};
use crate::analysis::uncertainty::{Ranges, ScenarioLosses, Subject, UncertainFigure, spread};
use crate::graph::Snapshot;
use crate::model::FigureClass;

/// Figures listed for each target.
const LISTED: usize = 20;
/// Figures in each tornado.
const BARS: usize = 10;
/// Figures to check first.
const CHECKED: usize = 10;

/// What drives the range of an answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Sensitivity {
    /// How influence was measured.
    pub method: &'static str,
    /// Figures that were drawn.
    pub figures: usize,
    /// Each target, in the order asked.
    pub targets: Vec<TargetSensitivity>,
    /// Figures whose better knowledge would narrow the answer most: influence times the
    /// uncertainty of their class.
    pub check_first: Vec<CheckFirst>,
}

/// What drives the range of one target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetSensitivity {
    /// Name of the target.
    pub target: String,
    /// Its loss.
    pub loss: LossRange,
    /// Figures with the greatest influence; those that cannot be told from chance are left out.
    pub drivers: Vec<DriverView>,
    /// Part of the spread that they leave: figures of little influence each, or that act together.
    pub unexplained: f64,
    /// Part of the spread by class of the figures behind it.
    pub by_class: BTreeMap<&'static str, f64>,
    /// Loss with one figure at its low or high and all others at their values, widest first.
    pub tornado: Vec<BarView>,
}

/// One uncertain figure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FigureView {
    /// Id.
    pub id: String,
    /// Its value.
    pub value: f64,
    /// 5th percentile of its draws.
    pub low: f64,
    /// 95th percentile of its draws.
    pub high: f64,
    /// Unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How it is known.
    pub class: Option<FigureClass>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `stated`, or `class` where the range is the default of its class.
    pub range: &'static str,
    /// Where to look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// One figure behind a range.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriverView {
    /// The figure.
    pub figure: FigureView,
    /// Rank correlation of its draws with the loss, -1 to 1.
    pub correlation: f64,
    /// Part of the rank variance of the loss that it brings, 0-1.
    pub variance_share: f64,
}

/// One bar of a tornado diagram.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BarView {
    /// Id of the figure.
    pub figure: String,
    /// Loss with the figure at its low.
    pub loss_at_low: f64,
    /// Loss with the figure at its high.
    pub loss_at_high: f64,
    /// Width of the bar.
    pub swing: f64,
}

/// One figure to check first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckFirst {
    /// The figure.
    pub figure: FigureView,
    /// Greatest variance share over the targets, times the uncertainty of its class relative to
    /// that of an estimate.
    pub score: f64,
    /// Target whose range it drives most.
    pub target: String,
    /// Its variance share there.
    pub variance_share: f64,
}

/// What drives the samples of each target (quantities in the order of the targets).
///
/// # Errors
/// Cancellation.
pub fn sensitivity(
    ranges: &Ranges,
    losses: &ScenarioLosses,
    samples: &Samples,
    targets: &[TargetNodes],
    seed: u64,
    progress: &Progress,
) -> Result<Sensitivity, ImpactError> {
    let found = drivers(ranges, samples, seed, progress)?;
    let mut barred: Vec<usize> =
        found.iter().flat_map(|d| d.list.iter().take(BARS)).map(|d| d.figure).collect();
    barred.sort_unstable();
    barred.dedup();
    let bars = tornado(ranges, losses, &barred, progress)?;
    let mut central = vec![0.0; losses.width()];
    losses.evaluate(ranges.base(), &mut central, progress)?;
    let views = targets
        .iter()
        .enumerate()
        .map(|(k, target)| {
            let spread = spread(&samples.by_quantity[k]);
            let loss = LossRange {
                value: central[k],
                low: spread.map(|s| s.low),
                high: spread.map(|s| s.high),
                median: spread.map(|s| s.median),
            };
            target_view(ranges, target, loss, &found[k], &bars, k)
        })
        .collect();
    Ok(Sensitivity {
        method: "rank correlation of each figure's draws with the loss; figures are drawn apart",
        figures: ranges.figures().len(),
        check_first: check_first(ranges, targets, &found),
        targets: views,
    })
}

fn target_view(
    ranges: &Ranges,
    target: &TargetNodes,
    loss: LossRange,
    found: &Drivers,
    bars: &[Bar],
    quantity: usize,
) -> TargetSensitivity {
    let figure = |k: usize| &ranges.figures()[k];
    let mut by_class: BTreeMap<&'static str, f64> = BTreeMap::new();
    for driver in &found.list {
        let class = figure(driver.figure).class.map_or("unclassed", FigureClass::as_str);
        *by_class.entry(class).or_default() += driver.variance_share;
    }
    let mut tornado: Vec<BarView> = found
        .list
        .iter()
        .take(BARS)
        .filter_map(|driver| {
            let place = bars.binary_search_by_key(&driver.figure, |bar| bar.figure).ok()?;
            let (low, high) = (bars[place].at_low[quantity], bars[place].at_high[quantity]);
            Some(BarView {
                figure: ranges.id(figure(driver.figure)),
                loss_at_low: low,
                loss_at_high: high,
                swing: (high - low).abs(),
            })
        })
        .collect();
    tornado.sort_by(|a, b| b.swing.total_cmp(&a.swing).then_with(|| a.figure.cmp(&b.figure)));
    TargetSensitivity {
        target: target.name.clone(),
        loss,
        drivers: found
            .list
            .iter()
            .take(LISTED)
            .map(|driver| DriverView {
                figure: figure_view(ranges, figure(driver.figure)),
                correlation: driver.correlation,
                variance_share: driver.variance_share,
            })
            .collect(),
        unexplained: found.unexplained,
        by_class,
        tornado,
    }
}

fn check_first(ranges: &Ranges, targets: &[TargetNodes], found: &[Drivers]) -> Vec<CheckFirst> {
    let width = |class: Option<FigureClass>| {
        class.map_or(1.0, |class| {
            class.default_relative_range() / FigureClass::Estimate.default_relative_range()
        })
    };
    // The target that each figure drives most.
    let mut most: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (k, drivers) in found.iter().enumerate() {
        for driver in &drivers.list {
            let entry = most.entry(driver.figure).or_insert((0.0, k));
            if driver.variance_share > entry.0 {
                *entry = (driver.variance_share, k);
            }
        }
    }
    let mut list: Vec<(f64, usize, f64, usize)> = most
        .into_iter()
        .map(|(figure, (share, target))| {
            (share * width(ranges.figures()[figure].class), figure, share, target)
        })
        .collect();
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    list.into_iter()
        .take(CHECKED)
        .map(|(score, figure, variance_share, target)| CheckFirst {
            figure: figure_view(ranges, &ranges.figures()[figure]),
            score,
            target: targets[target].name.clone(),
            variance_share,
        })
        .collect()
}

/// A figure as users see it.
pub fn figure_view(ranges: &Ranges, figure: &UncertainFigure) -> FigureView {
    let snapshot = ranges.base();
    let (unit, source) = evidence(snapshot, ranges, figure.subject);
    let text = |s: String| (!s.is_empty()).then_some(s);
    let graph = &snapshot.info().graph;
    let network = snapshot.network();
    let link = match figure.subject {
        Subject::Output(v) | Subject::Capacity(v) | Subject::StockDays(v) => {
            // A row of the reference tables says more than the node.
            let entry = network.nodes.attributes.get(&v).and_then(|a| a.get("figure"));
            let entry = entry.and_then(serde_json::Value::as_str);
            Some(match (entry, figure.subject) {
                (Some(entry), Subject::Output(_)) => format!("/v1/figures/{entry}"),
                _ => format!("/v1/graphs/{graph}/nodes/{}", snapshot.id(v)),
            })
        }
        Subject::Flow(e) => {
            Some(format!("/v1/graphs/{graph}/flows/{}", network.flow_id(e as usize)))
        }
        Subject::Dependence(r) => {
            let r = &network.requirements[r as usize];
            let (output, input) = (snapshot.name(r.output), snapshot.name(r.input));
            Some(format!("/v1/graphs/{graph}/requirements/{output}..{input}"))
        }
        Subject::Use(k) => {
            let e = ranges.uses().first_flow[k as usize] as usize;
            Some(format!("/v1/graphs/{graph}/flows/{}", network.flow_id(e)))
        }
    };
    FigureView {
        id: ranges.id(figure),
        value: figure.distribution.value(),
        low: figure.distribution.low(),
        high: figure.distribution.high(),
        unit: text(unit),
        class: figure.class,
        source: text(source),
        range: if figure.stated { "stated" } else { "class" },
        link,
    }
}

/// Unit and source of a figure.
fn evidence(snapshot: &Snapshot, ranges: &Ranges, subject: Subject) -> (String, String) {
    let network = snapshot.network();
    let of = |column: &crate::model::network::FigureColumn, row: usize| {
        let meta = column.meta(row);
        (snapshot.name(meta.unit).to_owned(), snapshot.name(meta.source).to_owned())
    };
    match subject {
        Subject::Output(v) => of(&network.nodes.output, v as usize),
        Subject::Capacity(v) => of(&network.nodes.capacity, v as usize),
        Subject::StockDays(v) => of(&network.nodes.stock_days, v as usize),
        Subject::Flow(e) => of(&network.flows.quantity, e as usize),
        Subject::Dependence(r) => {
            let figure = network.requirements[r as usize].dependence.as_ref();
            let text = |s: Option<&String>| s.cloned().unwrap_or_default();
            (
                text(figure.and_then(|f| f.unit.as_ref())),
                text(figure.and_then(|f| f.source.as_ref())),
            )
        }
        Subject::Use(k) => {
            let e = ranges.uses().first_flow[k as usize] as usize;
            ("share of the supply".into(), of(&network.flows.quantity, e).1)
        }
    }
}
