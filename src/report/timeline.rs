//! The clock of an answer: the loss of each target over time.

use std::fmt::Write;

use serde_json::Value;

use super::ReportError;
use super::answer::Answer;
use super::svg::{Anchor, Picture, Svg, number};
use super::text::{percent, words};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 52.0;
const PLOT: f64 = 260.0;
/// Lines of one picture.
const LINES: usize = 8;

/// The path of one target: its loss from each day on until the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Name of the target.
    pub target: String,
    /// Days, ascending.
    pub days: Vec<f64>,
    /// Loss from that day on.
    pub loss: Vec<f64>,
}

impl Path {
    /// First day with at least this loss.
    pub fn first_day(&self, loss: f64) -> Option<f64> {
        self.days.iter().zip(&self.loss).find(|&(_, &l)| l >= loss).map(|(&day, _)| day)
    }

    /// Largest loss.
    pub fn worst(&self) -> f64 {
        self.loss.iter().copied().fold(0.0, f64::max)
    }
}

/// The paths of an answer: `timeline` holds `[{target, days, loss}]`, or an object with `days` and
/// `targets: [{target, loss}]`. Empty if there are none.
pub fn paths(answer: &Answer) -> Vec<Path> {
    let timeline = &answer.timeline;
    let shared = numbers(&timeline["days"]);
    let list = timeline.as_array().or_else(|| timeline["targets"].as_array());
    list.into_iter()
        .flatten()
        .filter_map(|row| {
            let target = row["target"].as_str()?.to_owned();
            let days = numbers(&row["days"]).or_else(|| shared.clone())?;
            let loss = numbers(&row["loss"])?;
            let length = days.len().min(loss.len());
            (length > 0).then(|| Path {
                target,
                days: days[..length].into(),
                loss: loss[..length].into(),
            })
        })
        .collect()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    let list = value.as_array()?;
    Some(list.iter().filter_map(Value::as_f64).collect())
}

/// Draws the paths of the main targets, or of the one named.
///
/// # Errors
/// An answer without a time line; an unknown target.
pub fn timeline(answer: &Answer, target: Option<&str>) -> Result<Picture, ReportError> {
    let all = paths(answer);
    if all.is_empty() {
        return Err(ReportError::Missing {
            part: "timeline",
            hint: "ask with model: {\"mode\": \"timeline\"} and include: [\"timeline\"]",
        });
    }
    let wanted: Vec<&str> =
        answer.main_targets(target)?.into_iter().map(|t| t.target.as_str()).collect();
    let lines: Vec<&Path> =
        all.iter().filter(|p| wanted.contains(&p.target.as_str())).take(LINES).collect();
    let end = lines.iter().filter_map(|p| p.days.last()).copied().fold(1.0, f64::max);
    let described: Vec<String> = lines
        .iter()
        .map(|p| {
            let first = p.first_day(1e-9).map_or("never".into(), |d| format!("from day {d:.0}"));
            format!("{} is short {first}, at worst by {}", words(&p.target), percent(p.worst()))
        })
        .collect();
    let mut svg = Svg::new(
        WIDTH,
        &format!("The clock: {}", answer.title()),
        &format!("{}.", described.join("; ")),
    );
    svg.text((24.0, 22.0), Anchor::Start, "head", "The clock: loss of output over time");
    let x = |day: f64| LEFT + (WIDTH - LEFT - RIGHT) * (day / end).clamp(0.0, 1.0);
    let y = |loss: f64| TOP + PLOT * (1.0 - loss.clamp(0.0, 1.0));
    for tick in 0..=4 {
        let at = f64::from(tick) / 4.0;
        svg.line((LEFT, y(at)), (WIDTH - RIGHT, y(at)), if tick == 0 { "axis" } else { "grid" });
        svg.text((LEFT - 8.0, y(at) + 4.0), Anchor::End, "soft", &format!("{:.0} %", at * 100.0));
    }
    let step = day_step(end);
    let mut day = 0.0;
    while day <= end {
        svg.line((x(day), TOP + PLOT), (x(day), TOP + PLOT + 5.0), "axis");
        svg.text((x(day), TOP + PLOT + 19.0), Anchor::Middle, "soft", &format!("{day:.0}"));
        day += step;
    }
    svg.text((WIDTH - RIGHT, TOP + PLOT + 36.0), Anchor::End, "soft", "days after the shock");
    // Labels at the right end, kept apart.
    let mut labels: Vec<(f64, usize)> = lines
        .iter()
        .enumerate()
        .map(|(i, p)| (y(p.loss.last().copied().unwrap_or(0.0)), i))
        .collect();
    labels.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut above = TOP - 20.0;
    for (at, i) in labels {
        let at = at.max(above + 32.0);
        above = at;
        let path = lines[i];
        let first =
            path.first_day(1e-9).map_or("no shortage".into(), |d| format!("short from day {d:.0}"));
        svg.label(
            (WIDTH - RIGHT + 10.0, at + 2.0),
            Anchor::Start,
            &format!("strong small l{}", i % 8),
            &words(&path.target),
            26,
        );
        svg.text((WIDTH - RIGHT + 10.0, at + 16.0), Anchor::Start, "soft", &first);
    }
    for (i, path) in lines.iter().enumerate() {
        let mut d = format!("M{} {}", number(x(path.days[0])), number(y(path.loss[0])));
        for k in 1..path.days.len() {
            let _ = write!(d, "H{}V{}", number(x(path.days[k])), number(y(path.loss[k])));
        }
        let text = format!("{}: at worst {}", words(&path.target), percent(path.worst()));
        svg.path(&d, &format!("line s{}", i % 8), Some(&text));
    }
    Ok(Picture { svg, height: (TOP + PLOT + 50.0).max(above + 30.0) })
}

/// Days between ticks: about eight of them, in round numbers.
fn day_step(end: f64) -> f64 {
    [7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 730.0, 1825.0]
        .into_iter()
        .find(|step| end / step <= 9.0)
        .unwrap_or(end / 8.0)
}
