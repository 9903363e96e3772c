//! The world table: losses by country and stage as coloured cells.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::svg::{Anchor, Picture, Svg, loss_class};
use super::text::{percent, words};

/// What one country loses.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Code.
    pub country: String,
    /// Name.
    pub name: String,
    /// Nodes of the country.
    pub nodes: usize,
    /// Nodes that lose anything.
    pub hit: usize,
    /// Loss by stage.
    pub stages: BTreeMap<String, Cell>,
}

/// Loss of one stage of a country.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Mean loss of its nodes, each weighted by its share of the world's output of its product.
    pub loss: f64,
    /// Nodes.
    pub nodes: usize,
    /// True if the shocks hit a node themselves.
    pub direct: bool,
}

impl Row {
    /// Largest loss of a stage.
    pub fn worst(&self) -> f64 {
        self.stages.values().map(|cell| cell.loss).fold(0.0, f64::max)
    }
}

const LEFT: f64 = 210.0;
const COLUMN: f64 = 92.0;
const ROW: f64 = 24.0;
const TOP: f64 = 86.0;
/// Rows of one picture.
const ROWS: usize = 40;

/// Draws the rows, in the order given, with the stages as columns.
pub fn world(answer: &Answer, stages: &[String], rows: &[Row]) -> Picture {
    let width = (LEFT + COLUMN * stages.len() as f64 + 24.0).max(620.0);
    let described: Vec<String> = rows
        .iter()
        .take(10)
        .map(|row| format!("{}: {} of {} nodes lose", row.name, row.hit, row.nodes))
        .collect();
    let title = format!("Losses by country and stage: {}", answer.title());
    let mut svg = Svg::new(width, &title, &format!("{}.", described.join("; ")));
    svg.text((24.0, 22.0), Anchor::Start, "head", "Losses by country and stage");
    svg.text(
        (24.0, 42.0),
        Anchor::Start,
        "soft",
        "mean loss of a country's nodes, each weighted by its share of the world's output",
    );
    for (i, stage) in stages.iter().enumerate() {
        let x = LEFT + COLUMN * (i as f64 + 0.5);
        svg.label((x, TOP - 10.0), Anchor::Middle, "soft", &words(stage), 13);
    }
    let shown = rows.len().min(ROWS);
    for (i, row) in rows.iter().take(shown).enumerate() {
        let y = TOP + ROW * i as f64;
        svg.label((LEFT - 12.0, y + 16.5), Anchor::End, "small", &row.name, 28);
        for (k, stage) in stages.iter().enumerate() {
            let x = LEFT + COLUMN * k as f64;
            let Some(cell) = row.stages.get(stage) else { continue };
            let hit = if cell.direct { "; hit by the shock itself" } else { "" };
            let nodes =
                if cell.nodes == 1 { "1 node".into() } else { format!("{} nodes", cell.nodes) };
            let text =
                format!("{}, {}: {} of {nodes}{hit}", row.name, words(stage), percent(cell.loss));
            svg.rect(
                (x + 1.0, y + 1.0),
                (COLUMN - 2.0, ROW - 2.0),
                loss_class(cell.loss),
                Some(&text),
            );
            let class = if cell.loss >= 0.5 { "small on-dark" } else { "small on-light" };
            let mark = if cell.direct { "● " } else { "" };
            let short = if cell.loss <= 1e-12 {
                "–".into()
            } else {
                format!("{mark}{}", percent(cell.loss))
            };
            svg.text((x + COLUMN / 2.0, y + 16.5), Anchor::Middle, class, &short);
        }
    }
    let mut y = TOP + ROW * shown as f64 + 18.0;
    if rows.len() > shown {
        let more = format!("and {} more countries", rows.len() - shown);
        svg.text((24.0, y), Anchor::Start, "soft", &more);
        y += 18.0;
    }
    svg.text(
        (24.0, y),
        Anchor::Start,
        "soft",
        "● hit by the shock itself · – no loss · empty: nothing there",
    );
    Picture { svg, height: y + 16.0 }
}
