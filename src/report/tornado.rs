//! The tornado of an answer: which figures move a target's loss most, and how they are known.

use super::ReportError;
use super::answer::Answer;
use super::svg::{Anchor, Picture, Svg};
use super::text::{percent, words};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 380.0;
const RIGHT: f64 = 60.0;
const ROW: f64 = 26.0;
/// Bars of one target.
const BARS: usize = 12;

/// How one figure moves the loss of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// The figure.
    pub figure: String,
    /// How it is known.
    pub class: String,
    /// Loss with the figure at its low end.
    pub at_low: f64,
    /// Loss with the figure at its high end.
    pub at_high: f64,
}

/// The drivers of one target, strongest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Drivers {
    /// Name of the target.
    pub target: String,
    /// Figures.
    pub drivers: Vec<Driver>,
}

/// The drivers of an answer, from `sensitivity.targets[]: {target, tornado: [{figure, loss_at_low,
/// loss_at_high}], drivers: [{figure: {id, class}}]}`. Empty if there are none.
pub fn drivers(answer: &Answer) -> Vec<Drivers> {
    let list = answer.sensitivity["targets"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(|row| {
            let target = row["target"].as_str()?.to_owned();
            let figures = row["drivers"].as_array();
            let class = |id: &str| {
                let mut known = figures.into_iter().flatten().map(|d| &d["figure"]);
                let figure = known.find(|figure| figure["id"] == id);
                figure.and_then(|f| f["class"].as_str()).unwrap_or_default().to_owned()
            };
            let drivers = row["tornado"].as_array()?.iter().filter_map(|bar| {
                let figure = bar["figure"].as_str()?.to_owned();
                let (at_low, at_high) =
                    (bar["loss_at_low"].as_f64()?, bar["loss_at_high"].as_f64()?);
                Some(Driver { class: class(&figure), figure, at_low, at_high })
            });
            let mut drivers: Vec<Driver> = drivers.collect();
            let swing = |d: &Driver| (d.at_high - d.at_low).abs();
            drivers.sort_by(|a, b| {
                swing(b).total_cmp(&swing(a)).then_with(|| a.figure.cmp(&b.figure))
            });
            Some(Drivers { target, drivers })
        })
        .collect()
}

/// Draws the drivers of the main targets, or of the one named.
///
/// # Errors
/// An answer without sensitivity; an unknown target.
pub fn tornado(answer: &Answer, target: Option<&str>) -> Result<Picture, ReportError> {
    let all = drivers(answer);
    if all.is_empty() {
        return Err(ReportError::Missing {
            part: "sensitivity",
            hint: "ask with include: [\"sensitivity\"]",
        });
    }
    let wanted = answer.main_targets(target)?;
    let blocks: Vec<(&Drivers, f64)> = wanted
        .iter()
        .filter_map(|t| Some((all.iter().find(|d| d.target == t.target)?, t.loss.value)))
        .collect();
    let described: Vec<String> = blocks
        .iter()
        .filter_map(|(d, _)| {
            let first = d.drivers.first()?;
            Some(format!("{} moves {} most", first.figure, words(&d.target)))
        })
        .collect();
    let title = format!("What drives the range: {}", answer.title());
    let mut svg = Svg::new(WIDTH, &title, &format!("{}.", described.join("; ")));
    svg.text((24.0, 22.0), Anchor::Start, "head", "What drives the range");
    svg.text(
        (WIDTH - 24.0, 22.0),
        Anchor::End,
        "soft",
        "loss with the figure at either end of its range",
    );
    let mut y = 44.0;
    for (block, value) in blocks {
        y = draw(&mut svg, block, value, y);
    }
    Ok(Picture { svg, height: y + 10.0 })
}

fn draw(svg: &mut Svg, block: &Drivers, value: f64, top: f64) -> f64 {
    let rows = &block.drivers[..block.drivers.len().min(BARS)];
    let ends = rows.iter().flat_map(|d| [d.at_low, d.at_high]).chain([value]);
    let (low, high) = ends.fold((f64::MAX, f64::MIN), |(l, h), e| (l.min(e), h.max(e)));
    let margin = ((high - low) * 0.15).max(0.01);
    let (low, high) = ((low - margin).max(0.0), (high + margin).min(1.0));
    let x =
        |loss: f64| LEFT + (WIDTH - LEFT - RIGHT) * ((loss - low) / (high - low)).clamp(0.0, 1.0);
    let head = format!("{}: {}", words(&block.target), percent(value));
    svg.label((24.0, top + 14.0), Anchor::Start, "strong", &head, 60);
    let first = top + 26.0;
    svg.line((x(value), first - 4.0), (x(value), first + ROW * rows.len() as f64), "error");
    for (i, row) in rows.iter().enumerate() {
        let y = first + ROW * i as f64;
        let name = if row.class.is_empty() {
            row.figure.clone()
        } else {
            format!("{} · {}", row.figure, row.class)
        };
        svg.label((LEFT - 12.0, y + 17.0), Anchor::End, "small", &name, 54);
        for (end, class) in [(row.at_low, "l0"), (row.at_high, "l1")] {
            let (from, to) = (x(value.min(end)), x(value.max(end)));
            let title = format!("{}: {}", row.figure, percent(end));
            svg.rect((from, y + 5.0), (to - from, ROW - 10.0), class, Some(&title));
        }
        let (left, right) = (row.at_low.min(row.at_high), row.at_low.max(row.at_high));
        svg.text(
            (x(right.max(value)) + 6.0, y + 17.0),
            Anchor::Start,
            "soft",
            &format!("{} – {}", percent(left), percent(right)),
        );
    }
    first + ROW * rows.len() as f64 + 16.0
}
