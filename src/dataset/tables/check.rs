//! Checks across rows and tables: sums of shares, known names and countries, pairs that belong
//! together.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::TableRow;
use super::{
    BomRow, CapacityRow, OTHER_USES, PolicyRow, ProductionRow, ProjectRow, RowProblem,
    StockpileRow, Tables, TermRow, TradeRow, UseRow, UseShareRow,
};
use crate::model::selector::suggest;

/// Sums of shares within which a group counts as complete.
const SHARE_SUM: std::ops::RangeInclusive<f64> = 0.9..=1.05;
/// Most by which a row's share may differ from its quantity over the group's quantities.
const SHARE_AGREES: f64 = 0.02;
/// Most by which the use shares of an input may miss 1.
const USE_SUM: f64 = 1e-3;

#[derive(Default)]
struct Problems(Vec<RowProblem>);

impl Problems {
    fn add<R: TableRow>(&mut self, line: u64, column: &str, problem: String) {
        self.0.push(RowProblem {
            file: R::FILE.to_owned(),
            line,
            column: column.to_owned(),
            problem,
        });
    }
}

/// Every problem that no single cell shows.
pub(super) fn across_rows(tables: &Tables) -> Vec<RowProblem> {
    let mut problems = Problems::default();
    countries(tables, &mut problems);
    names(tables, &mut problems);
    production(tables, &mut problems);
    uses(tables, &mut problems);
    pairs(tables, &mut problems);
    trade(tables, &mut problems);
    problems.0
}

fn countries(tables: &Tables, problems: &mut Problems) {
    let codes: BTreeSet<&str> = tables.countries.iter().map(|c| c.iso3.as_str()).collect();
    let blocs: BTreeSet<&str> =
        tables.countries.iter().flat_map(|c| c.blocs.iter().map(String::as_str)).collect();
    let unknown = |code: &str| {
        let near = suggest(code, codes.iter().copied());
        format!(
            "unknown country \"{code}\"; add it to countries.csv or correct it{}",
            near.map(|n| format!("; did you mean {n}?")).unwrap_or_default()
        )
    };
    let known = |code: &str| codes.contains(code);
    for row in tables.production.iter().filter(|r| !known(&r.country)) {
        problems.add::<ProductionRow>(row.line, "country", unknown(&row.country));
    }
    for row in &tables.trade {
        for (column, code) in [("importer", &row.importer), ("exporter", &row.exporter)] {
            if !known(code) {
                problems.add::<TradeRow>(row.line, column, unknown(code));
            }
        }
    }
    for row in tables.projects.iter().filter(|r| !known(&r.country)) {
        problems.add::<ProjectRow>(row.line, "country", unknown(&row.country));
    }
    for row in tables.capacities.iter().filter(|r| !known(&r.country)) {
        problems.add::<CapacityRow>(row.line, "country", unknown(&row.country));
    }
    for row in tables.stockpiles.iter().filter(|r| !known(r.country())) {
        problems.add::<StockpileRow>(row.line, "holder", unknown(row.country()));
    }
    for row in &tables.policies {
        let known = |word: &str| known(word) || blocs.contains(word);
        if !known(&row.actor) {
            problems.add::<PolicyRow>(row.line, "actor", unknown(&row.actor));
        }
        for target in row.targets.iter().filter(|t| !known(t) && *t != "ALL") {
            problems.add::<PolicyRow>(row.line, "targets", unknown(target));
        }
    }
}

fn names(tables: &Tables, problems: &mut Problems) {
    let bom = tables.bill_of_materials.iter().flat_map(|b| [b.output.as_str(), b.input.as_str()]);
    let made = tables.production.iter().map(|p| p.material.as_str());
    let products: BTreeSet<&str> = made.chain(bom).collect();
    let terms: BTreeSet<&str> = tables.terms.iter().map(|t| t.term.as_str()).collect();
    let unknown = |name: &str| {
        let near = suggest(name, products.iter().chain(&terms).copied());
        format!(
            "unknown material \"{name}\": neither production.csv, bill_of_materials.csv nor \
             terms.csv names it{}",
            near.map(|n| format!("; did you mean {n}?")).unwrap_or_default()
        )
    };
    let known = |name: &str| products.contains(name) || terms.contains(name);
    for row in &tables.terms {
        if products.contains(row.term.as_str()) {
            problems.add::<TermRow>(
                row.line,
                "term",
                format!("\"{}\" is a product of the network already", row.term),
            );
        }
        for product in row.products.iter().filter(|p| !products.contains(p.as_str())) {
            problems.add::<TermRow>(row.line, "products", unknown(product));
        }
    }
    for row in tables.uses.iter().filter(|r| !known(&r.material)) {
        problems.add::<UseRow>(row.line, "material", unknown(&row.material));
    }
    for row in tables.trade.iter().filter(|r| !known(&r.material)) {
        problems.add::<TradeRow>(row.line, "material", unknown(&row.material));
    }
    for row in tables.stockpiles.iter().filter(|r| !known(&r.material)) {
        problems.add::<StockpileRow>(row.line, "material", unknown(&row.material));
    }
    for row in tables.projects.iter().filter(|r| !products.contains(r.material.as_str())) {
        problems.add::<ProjectRow>(row.line, "material", unknown(&row.material));
    }
    for row in &tables.policies {
        for material in row.materials.iter().filter(|m| !known(m)) {
            problems.add::<PolicyRow>(row.line, "materials", unknown(material));
        }
    }
    for row in &tables.capacities {
        let group: Vec<&ProductionRow> = tables
            .production
            .iter()
            .filter(|p| p.material == row.material && p.stage == row.stage)
            .collect();
        if group.is_empty() {
            problems.add::<CapacityRow>(
                row.line,
                "material",
                format!("production.csv has no rows of {} {}", row.material, row.stage),
            );
        } else if let Some(p) = group.iter().find(|p| p.unit.as_deref() != Some(&row.unit)) {
            problems.add::<CapacityRow>(
                row.line,
                "unit",
                format!(
                    "\"{}\" is not the unit of production.csv:{}, \"{}\"",
                    row.unit,
                    p.line,
                    p.unit.as_deref().unwrap_or_default()
                ),
            );
        }
    }
}

fn production(tables: &Tables, problems: &mut Problems) {
    let mut groups: BTreeMap<(&str, &str), Vec<&ProductionRow>> = BTreeMap::new();
    for row in tables.production.iter().filter(|r| r.in_network()) {
        groups.entry((&row.material, &row.stage)).or_default().push(row);
    }
    for ((material, stage), rows) in groups {
        let group = format!("{material} {stage}");
        let first = rows[0];
        let mut complete = true;
        for row in &rows {
            if row.share.is_none() {
                complete = false;
                problems.add::<ProductionRow>(
                    row.line,
                    "share",
                    "is empty; a row of the network needs its share of world output".into(),
                );
            }
            if row.country == "WLD" && rows.len() > 1 {
                problems.add::<ProductionRow>(
                    row.line,
                    "country",
                    format!("WLD would count {group} twice beside its countries"),
                );
            }
            if row.year != first.year {
                problems.add::<ProductionRow>(
                    row.line,
                    "year",
                    format!("{} differs from {} in line {}", row.year, first.year, first.line),
                );
            }
            if row.quantity.is_some() != first.quantity.is_some() || row.unit != first.unit {
                problems.add::<ProductionRow>(
                    row.line,
                    "quantity",
                    format!(
                        "give all rows of {group} a quantity in one unit, or none (line {} differs)",
                        first.line
                    ),
                );
            }
        }
        let eu_members = rows.iter().find(|r| {
            tables
                .countries
                .iter()
                .any(|c| c.iso3 == r.country && c.blocs.iter().any(|b| b == "EU"))
        });
        if let (Some(eu), Some(member)) = (rows.iter().find(|r| r.country == "EUU"), eu_members) {
            problems.add::<ProductionRow>(
                member.line,
                "country",
                format!("{} is counted in EUU (line {}) already", member.country, eu.line),
            );
        }
        if !complete {
            continue;
        }
        let share = |row: &ProductionRow| row.share.unwrap_or_default();
        let sum: f64 = rows.iter().map(|r| share(r)).sum();
        if !SHARE_SUM.contains(&sum) {
            problems.add::<ProductionRow>(
                first.line,
                "share",
                format!("the shares of {group} sum to {sum:.4}, outside 0.9 to 1.05"),
            );
        }
        let total: f64 = rows.iter().filter_map(|r| r.quantity).sum();
        if rows.iter().all(|r| r.quantity.is_some()) && total > 0.0 {
            for row in &rows {
                let computed = row.quantity.unwrap_or_default() / total;
                if (computed - share(row)).abs() > SHARE_AGREES {
                    problems.add::<ProductionRow>(
                        row.line,
                        "share",
                        format!(
                            "{} does not agree with the quantity, which is {computed:.4} of {group}",
                            share(row)
                        ),
                    );
                }
            }
        }
    }
}

fn uses(tables: &Tables, problems: &mut Problems) {
    let mut sums: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for row in tables.uses.iter().filter(|r| r.in_world_sum()) {
        if let Some(share) = row.share_of_use {
            sums.entry(&row.material).or_insert((row.line, 0.0)).1 += share;
        }
    }
    for (material, (line, sum)) in sums {
        if !SHARE_SUM.contains(&sum) {
            problems.add::<UseRow>(
                line,
                "share_of_use",
                format!("the world uses of {material} sum to {sum:.4}, outside 0.9 to 1.05"),
            );
        }
    }
}

fn pairs(tables: &Tables, problems: &mut Problems) {
    let bom: BTreeSet<(&str, &str)> =
        tables.bill_of_materials.iter().map(|b| (b.input.as_str(), b.output.as_str())).collect();
    let split: BTreeSet<(&str, &str)> =
        tables.use_shares.iter().map(|u| (u.input.as_str(), u.consumer.as_str())).collect();
    for row in &tables.bill_of_materials {
        if !split.contains(&(row.input.as_str(), row.output.as_str())) {
            problems.add::<BomRow>(
                row.line,
                "input",
                format!(
                    "use_shares.csv has no row for {} used by {}; the pair would have no flow",
                    row.input, row.output
                ),
            );
        }
    }
    let mut sums: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for row in &tables.use_shares {
        let pair = (row.input.as_str(), row.consumer.as_str());
        if row.consumer != OTHER_USES && !bom.contains(&pair) {
            problems.add::<UseShareRow>(
                row.line,
                "consumer",
                format!("bill_of_materials.csv does not say that {} needs {}", pair.1, pair.0),
            );
        }
        if let Some(share) = row.use_share {
            sums.entry(&row.input).or_insert((row.line, 0.0)).1 += share;
        }
    }
    for (input, (line, sum)) in sums {
        if (sum - 1.0).abs() > USE_SUM {
            problems.add::<UseShareRow>(
                line,
                "use_share",
                format!("the use shares of {input} sum to {sum:.5}, not to 1"),
            );
        }
    }
}

fn trade(tables: &Tables, problems: &mut Problems) {
    let mut sums: BTreeMap<_, (u64, f64)> = BTreeMap::new();
    for row in &tables.trade {
        if row.importer == row.exporter {
            problems.add::<TradeRow>(row.line, "exporter", "is the importer itself".into());
        }
        let key = (&row.importer, &row.material, &row.stage, row.year);
        if ["mine", "refine", "component"].contains(&row.stage.as_str()) {
            sums.entry(key).or_insert((row.line, 0.0)).1 += row.share;
        }
    }
    for ((importer, material, stage, year), (line, sum)) in sums {
        if sum > *SHARE_SUM.end() {
            problems.add::<TradeRow>(
                line,
                "share_or_quantity",
                format!("{importer}'s imports of {material} {stage} {year} sum to {sum:.4}"),
            );
        }
    }
}
