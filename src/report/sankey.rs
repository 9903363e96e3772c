//! The Sankey picture of an answer: where each target's loss comes from. One block for each target,
//! because losses are shares of different outputs and do not add up over targets. In each block the
//! ribbons and "other" add up to the loss, and loss and rest to the whole output.

use std::fmt::Write;

use super::answer::{Answer, Chain, Explanation, Target};
use super::svg::{Anchor, Picture, Svg, number};
use super::text::{percent, quantity, step, words};
use super::{ReportError, answer};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 24.0;
const RIGHT: f64 = 170.0;
/// Height of a whole output.
const WHOLE: f64 = 150.0;
const BOX: f64 = 10.0;
/// Vertical room of a label.
const ROOM: f64 = 30.0;
/// Chains drawn one by one; the rest joins "other".
const CHAINS: usize = 8;
/// Amounts below this are not drawn.
const LEAST: f64 = 1e-9;
/// Steps drawn of a long chain.
const STEPS: usize = 6;

/// Draws the main targets, or the one named.
///
/// # Errors
/// An answer without explanation; an unknown target.
pub fn sankey(answer: &Answer, target: Option<&str>) -> Result<Picture, ReportError> {
    if answer.explanation.is_none() {
        return Err(ReportError::Missing {
            part: "explanation",
            hint: "ask with include: [\"explanation\"]",
        });
    }
    let targets = answer.main_targets(target)?;
    let mut svg = Svg::new(
        WIDTH,
        &format!("Where the losses come from: {}", answer.title()),
        &describe(answer, &targets),
    );
    let mut y = 34.0;
    svg.text((LEFT, 22.0), Anchor::Start, "head", "Where the losses come from");
    svg.text(
        (WIDTH - 24.0, 22.0),
        Anchor::End,
        "soft",
        "ribbon height = share of the target's yearly output",
    );
    for target in targets {
        y = block(&mut svg, target, answer.explained(&target.target), y + 16.0);
    }
    svg.text((LEFT, y + 22.0), Anchor::Start, "soft", &footer(answer));
    Ok(Picture { svg, height: y + 36.0 })
}

fn footer(answer: &Answer) -> String {
    format!("{} version {} · {} · {}", answer.graph, answer.version, answer.engine, answer.id)
}

fn describe(answer: &Answer, targets: &[&Target]) -> String {
    let mut text = answer.headline.clone();
    for target in targets {
        let Some(explained) = answer.explained(&target.target) else { continue };
        for chain in explained.chains.iter().take(3) {
            let path: Vec<String> = chain.path.iter().map(|s| step(s)).collect();
            let _ = write!(text, " {} along {}.", percent(chain.amount), path.join(" to "));
        }
    }
    text
}

/// A box of one column.
struct Stop {
    label: String,
    /// Steps from the target.
    distance: usize,
    amount: f64,
    top: f64,
    /// How much of its left side is taken.
    arrived: f64,
    left: f64,
    /// The box that its first ribbon goes to.
    next: Option<usize>,
}

struct Layout {
    stops: Vec<Stop>,
    scale: f64,
}

impl Layout {
    fn stop(&mut self, label: &str, distance: usize, amount: f64) -> usize {
        let found = self.stops.iter().position(|s| s.label == label && s.distance == distance);
        let index = found.unwrap_or_else(|| {
            self.stops.push(Stop {
                label: label.to_owned(),
                distance,
                amount: 0.0,
                top: 0.0,
                arrived: 0.0,
                left: 0.0,
                next: None,
            });
            self.stops.len() - 1
        });
        self.stops[index].amount += amount;
        index
    }
}

/// One block; gives the y below it.
fn block(svg: &mut Svg, target: &Target, explained: Option<&Explanation>, top: f64) -> f64 {
    let loss = target.loss.value;
    let unit = &target.baseline.unit;
    let of = format!("of {} {unit} a year", quantity(target.baseline.value));
    let of = if unit.contains("share of world output") {
        format!("of {} of world output", percent(target.baseline.value.min(1.0)))
    } else {
        of
    };
    let head = format!(
        "{}: {} lost",
        words(&target.target),
        super::text::with_range(loss, target.loss.range())
    );
    svg.label((LEFT, top + 12.0), Anchor::Start, "strong", &head, 70);
    svg.text((WIDTH - 24.0, top + 12.0), Anchor::End, "soft", &of);
    let top = top + 34.0;
    let chains = explained.map_or(&[][..], |e| &e.chains[..]);
    if loss <= answer_least() || chains.is_empty() {
        let why = target.zero_explanation.as_deref().unwrap_or("no binding chain");
        svg.label((LEFT, top + 6.0), Anchor::Start, "soft", why, 140);
        return top + 18.0;
    }
    // A small loss is drawn larger, without the rest of the output.
    let enlarged = loss < 0.2;
    let scale = if enlarged { 40.0 / loss } else { WHOLE };
    let drawn: Vec<&Chain> =
        chains.iter().filter(|c| c.amount > LEAST && c.path.len() > 1).take(CHAINS).collect();
    let shown: f64 = drawn.iter().map(|c| c.amount).sum();
    let other = (loss - shown).max(0.0);
    let mut layout = Layout { stops: Vec::new(), scale };
    let routes: Vec<Vec<usize>> = drawn
        .iter()
        .map(|chain| {
            let steps: Vec<&String> = chain.path.iter().rev().take(STEPS).collect();
            let last = steps.len() - 1;
            let route = steps.iter().enumerate().rev().map(|(distance, name)| {
                let cut = distance == last && chain.path.len() > STEPS;
                let name = if cut { format!("… {}", step(name)) } else { step(name) };
                let name = if distance == 0 { String::new() } else { name };
                layout.stop(&name, distance, chain.amount)
            });
            route.collect()
        })
        .collect();
    for pair in routes.iter().flat_map(|route| route.windows(2)) {
        layout.stops[pair[0]].next.get_or_insert(pair[1]);
    }
    let left_out = chains.len().saturating_sub(drawn.len());
    if other > loss * 1e-6 {
        let label = if left_out > 0 {
            format!("other ({left_out} chains and more)")
        } else {
            "other".into()
        };
        let index = layout.stop(&label, 1, other);
        layout.stop("", 0, other);
        let end = layout.stops.iter().position(|s| s.distance == 0).unwrap_or(0);
        let bottom = place(&mut layout, top);
        ribbons(svg, &mut layout, &drawn, &routes);
        ribbon(
            svg,
            &mut layout,
            (index, end),
            other,
            "other",
            &format!("other: {}", percent(other)),
        );
        return boxes(svg, &layout, target, (top, bottom), enlarged);
    }
    let bottom = place(&mut layout, top);
    ribbons(svg, &mut layout, &drawn, &routes);
    boxes(svg, &layout, target, (top, bottom), enlarged)
}

fn answer_least() -> f64 {
    1e-12
}

/// Gives every box its place; the y below the lowest.
fn place(layout: &mut Layout, top: f64) -> f64 {
    let farthest = layout.stops.iter().map(|s| s.distance).max().unwrap_or(0);
    let width = WIDTH - LEFT - RIGHT - BOX;
    let step = if farthest == 0 { 0.0 } else { width / farthest as f64 };
    let mut free = vec![top; farthest + 1];
    // From the target outwards, so that a box never stands above the one that it feeds.
    for distance in 0..=farthest {
        for i in 0..layout.stops.len() {
            if layout.stops[i].distance != distance {
                continue;
            }
            let fed = layout.stops[i].next.map_or(top, |next| layout.stops[next].top);
            let stop = &mut layout.stops[i];
            stop.left = WIDTH - RIGHT - BOX - step * distance as f64;
            stop.top = if distance == 1 { free[distance] } else { free[distance].max(fed) };
            let height = stop.amount * layout.scale;
            let room = if distance == 0 { height } else { (height + 8.0).max(ROOM) };
            free[distance] = stop.top + room;
        }
    }
    free.into_iter().fold(top, f64::max)
}

fn ribbons(svg: &mut Svg, layout: &mut Layout, drawn: &[&Chain], routes: &[Vec<usize>]) {
    // What leaves a box starts again at its top: chains come in the same order everywhere.
    for stop in &mut layout.stops {
        stop.arrived = 0.0;
    }
    let mut departed = vec![0.0; layout.stops.len()];
    for (k, (chain, route)) in drawn.iter().zip(routes).enumerate() {
        let path: Vec<String> = chain.path.iter().map(|s| step(s)).collect();
        let example: Vec<&str> = chain.example.iter().map(|n| n.id.as_str()).collect();
        let mut title = format!(
            "{}: {} of the output, {} of the loss",
            path.join(" → "),
            percent(chain.amount),
            percent(chain.share)
        );
        if !example.is_empty() {
            let _ = write!(title, "; strongest: {}", example.join(" → "));
        }
        for pair in route.windows(2) {
            let [from, to] = [pair[0], pair[1]];
            let offset = departed[from];
            departed[from] += chain.amount;
            draw(
                svg,
                layout,
                (from, to),
                (offset, chain.amount),
                &format!("link l{}", k % 8),
                &title,
            );
        }
    }
}

fn ribbon(
    svg: &mut Svg,
    layout: &mut Layout,
    ends: (usize, usize),
    amount: f64,
    class: &str,
    title: &str,
) {
    draw(svg, layout, ends, (0.0, amount), class, title);
}

fn draw(
    svg: &mut Svg,
    layout: &mut Layout,
    (from, to): (usize, usize),
    (offset, amount): (f64, f64),
    class: &str,
    title: &str,
) {
    let scale = layout.scale;
    let (x0, y0) = (layout.stops[from].left + BOX, layout.stops[from].top + offset * scale);
    let end = &mut layout.stops[to];
    let (x1, y1) = (end.left, end.top + end.arrived * scale);
    end.arrived += amount;
    let height = (amount * scale).max(0.5);
    let middle = (x0 + x1) / 2.0;
    let [x0, x1, m] = [x0, x1, middle].map(number);
    let [a, b, c, d] = [y0, y1, y1 + height, y0 + height].map(number);
    let d = format!("M{x0} {a}C{m} {a} {m} {b} {x1} {b}V{c}C{m} {c} {m} {d} {x0} {d}Z");
    svg.path(&d, class, Some(title));
}

/// Draws the boxes with their labels over the ribbons; the y below the block.
fn boxes(
    svg: &mut Svg,
    layout: &Layout,
    target: &answer::Target,
    (top, bottom): (f64, f64),
    enlarged: bool,
) -> f64 {
    let loss = target.loss.value;
    let mut bottom = bottom;
    for stop in &layout.stops {
        let height = (stop.amount * layout.scale).max(1.0);
        if stop.distance == 0 {
            svg.rect((stop.left, stop.top), (BOX, height), "node", None);
            let x = stop.left + BOX + 8.0;
            svg.text(
                (x, stop.top + 12.0),
                Anchor::Start,
                "strong",
                &format!("{} lost", percent(loss)),
            );
            if enlarged {
                svg.text((x, stop.top + 28.0), Anchor::Start, "soft", "drawn larger;");
                svg.text((x, stop.top + 43.0), Anchor::Start, "soft", "the rest is kept");
                bottom = bottom.max(stop.top + 46.0);
            } else if loss < 1.0 {
                let rest = WHOLE * (1.0 - loss);
                svg.rect(
                    (stop.left, stop.top + height),
                    (BOX, rest),
                    "kept",
                    Some("output that is kept"),
                );
                let y = (stop.top + height + rest / 2.0 + 5.0).max(stop.top + 28.0);
                svg.text((x, y), Anchor::Start, "soft", &format!("{} kept", percent(1.0 - loss)));
                bottom = bottom.max(top + WHOLE).max(y + 4.0);
            }
            continue;
        }
        svg.rect((stop.left, stop.top), (BOX, height), "node", Some(&stop.label));
        let y = stop.top + (height / 2.0).max(6.0) + 4.5;
        let farthest = layout.stops.iter().map(|s| s.distance).max().unwrap_or(1).max(1);
        let most = (((WIDTH - LEFT - RIGHT) / farthest as f64 - 24.0) / 6.6) as usize;
        // In narrow columns the stage goes; hovering over the box tells it.
        let label = match stop.label.rsplit_once(" (") {
            Some((product, _)) if most < 34 => product,
            _ => &stop.label,
        };
        let text =
            format!("{}  {}", super::text::clip(label, most.max(14) - 7), percent(stop.amount));
        svg.text((stop.left + BOX + 7.0, y), Anchor::Start, "small", &text);
    }
    bottom + 10.0
}
