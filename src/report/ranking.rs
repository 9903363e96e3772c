//! The ranking of an answer's targets: bars with error bars, and the two ends of rationing.

use super::ReportError;
use super::answer::{Answer, Target};
use super::svg::{Anchor, Picture, Svg, number};
use super::text::{percent, with_range, words};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 150.0;
const ROW: f64 = 26.0;
const TOP: f64 = 80.0;
/// Rows of one picture.
const ROWS: usize = 40;

/// Targets by loss, largest first, then by name.
pub fn ranked(answer: &Answer) -> Vec<&Target> {
    let mut rows: Vec<&Target> = answer.results.iter().collect();
    rows.sort_by(|a, b| {
        b.loss.value.total_cmp(&a.loss.value).then_with(|| a.target.cmp(&b.target))
    });
    rows
}

/// Draws every target of the answer, largest loss first; with `main`, none that is a region of
/// another.
///
/// # Errors
/// An answer without targets.
pub fn ranking(answer: &Answer, main: bool) -> Result<Picture, ReportError> {
    let mut rows = ranked(answer);
    if main && rows.iter().any(|row| !row.is_region()) {
        rows.retain(|row| !row.is_region());
    }
    if rows.is_empty() {
        return Err(ReportError::Missing { part: "targets", hint: "name targets in the scenario" });
    }
    let shown = rows.len().min(ROWS);
    let described: Vec<String> = rows
        .iter()
        .take(shown)
        .map(|r| format!("{} loses {}", words(&r.target), with_range(r.loss.value, r.loss.range())))
        .collect();
    let title = format!("Losses of the targets: {}", answer.title());
    let mut svg = Svg::new(WIDTH, &title, &format!("{}.", described.join("; ")));
    let span = WIDTH - LEFT - RIGHT;
    let x = |loss: f64| LEFT + span * loss.clamp(0.0, 1.0);
    let bottom = TOP + ROW * shown as f64;
    svg.text((24.0, 22.0), Anchor::Start, "head", "Loss of yearly output, by target");
    legend(&mut svg, &rows[..shown]);
    for tick in 0..=4 {
        let at = f64::from(tick) / 4.0;
        let class = if tick == 0 { "axis" } else { "grid" };
        svg.line((x(at), TOP - 6.0), (x(at), bottom), class);
        svg.text((x(at), TOP - 12.0), Anchor::Middle, "soft", &format!("{:.0} %", at * 100.0));
    }
    for (i, row) in rows.iter().take(shown).enumerate() {
        let y = TOP + ROW * i as f64;
        let middle = y + ROW / 2.0;
        let class = if row.is_region() { "small" } else { "strong" };
        svg.label((LEFT - 12.0, middle + 4.5), Anchor::End, class, &words(&row.target), 34);
        let loss = row.loss.value;
        let text = with_range(loss, row.loss.range());
        svg.rect(
            (LEFT, y + 5.0),
            (x(loss) - LEFT, ROW - 10.0),
            "bar",
            Some(&format!("{}: {text}", row.target)),
        );
        let mut end = x(loss);
        if let Some((low, high)) = row.loss.range() {
            svg.line((x(low), middle), (x(high), middle), "error");
            for tip in [low, high] {
                svg.line((x(tip), middle - 4.0), (x(tip), middle + 4.0), "error");
            }
            end = end.max(x(high));
        }
        if let Some(bracket) = row.bracket {
            for (value, name) in [
                (bracket.critical_first, "critical uses served first"),
                (bracket.proportional, "everyone served alike"),
            ] {
                diamond(&mut svg, (x(value), middle), &format!("{name}: {}", percent(value)));
                end = end.max(x(value) + 5.0);
            }
        }
        svg.text((end + 8.0, middle + 4.5), Anchor::Start, "small", &text);
    }
    let mut height = bottom + 14.0;
    if rows.len() > shown {
        let more = format!("and {} more targets with smaller losses", rows.len() - shown);
        svg.text((LEFT, height + 6.0), Anchor::Start, "soft", &more);
        height += 20.0;
    }
    let id = format!("{} version {} · {}", answer.graph, answer.version, answer.id);
    svg.text((24.0, height + 12.0), Anchor::Start, "soft", &id);
    Ok(Picture { svg, height: height + 28.0 })
}

fn diamond(svg: &mut Svg, (x, y): (f64, f64), title: &str) {
    let [left, right, above, below] = [x - 4.0, x + 4.0, y - 4.0, y + 4.0].map(number);
    let (x, y) = (number(x), number(y));
    svg.path(&format!("M{left} {y}L{x} {above}L{right} {y}L{x} {below}Z"), "mark", Some(title));
}

fn legend(svg: &mut Svg, rows: &[&Target]) {
    let mut parts = Vec::new();
    if rows.iter().any(|r| r.loss.range().is_some()) {
        parts.push("bracket: 5th to 95th percentile of the draws");
    }
    if rows.iter().any(|r| r.bracket.is_some()) {
        parts.push("diamonds: critical uses first, everyone alike");
    }
    svg.text((24.0, 41.0), Anchor::Start, "soft", &parts.join(" · "));
}
