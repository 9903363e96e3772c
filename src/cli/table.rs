//! An impact answer as a table for the terminal.

use serde_json::Value;

/// The answer's headline and one line for each target: loss, range, bracket, binding input.
pub fn impact(answer: &Value) -> String {
    let mut out = String::new();
    if let Some(headline) = answer.get("headline").and_then(Value::as_str) {
        out.push_str(headline);
        out.push_str("\n\n");
    }
    let results = answer.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    let heads = ["target", "loss", "range", "critical first - proportional", "binding input"];
    // Columns that no row fills are left out.
    let shown: Vec<usize> =
        (0..heads.len()).filter(|&c| c < 2 || rows.iter().any(|row| !row[c].is_empty())).collect();
    let width = |c: usize| {
        rows.iter().map(|row| row[c].chars().count()).chain([heads[c].len()]).max().unwrap_or(0)
    };
    let mut line = |cells: &dyn Fn(usize) -> String| {
        let padded: Vec<String> = shown
            .iter()
            .map(|&c| {
                let (cell, width) = (cells(c), width(c));
                if c == 1 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            })
            .collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    };
    line(&|c| heads[c].to_owned());
    line(&|c| "-".repeat(width(c)));
    for row in &rows {
        line(&|c| row[c].clone());
    }
    out
}

fn row(result: &Value) -> Vec<String> {
    let number = |path: &str| result.pointer(path).and_then(Value::as_f64);
    let text = |path: &str| result.pointer(path).and_then(Value::as_str);
    let range = match (number("/loss/low"), number("/loss/high")) {
        (Some(low), Some(high)) => format!("{} - {}", percent(low), percent(high)),
        _ => String::new(),
    };
    let bracket = match (number("/bracket/critical_first"), number("/bracket/proportional")) {
        (Some(first), Some(last)) => format!("{} - {}", percent(first), percent(last)),
        _ => String::new(),
    };
    let mut inputs: Vec<String> = Vec::new();
    for binding in result.pointer("/binding").and_then(Value::as_array).into_iter().flatten() {
        let input = binding.get("input").and_then(Value::as_str).unwrap_or_default();
        let product = binding.get("supplier_product").and_then(Value::as_str);
        let name = match product.filter(|product| *product != input) {
            Some(product) => format!("{input} ({product})"),
            None => input.to_owned(),
        };
        if !inputs.contains(&name) && inputs.len() < 3 {
            inputs.push(name);
        }
    }
    let why = if inputs.is_empty() {
        text("/zero_reason").unwrap_or_default().replace('_', " ")
    } else {
        inputs.join(", ")
    };
    vec![
        text("/target").unwrap_or_default().to_owned(),
        number("/loss/value").map(percent).unwrap_or_default(),
        range,
        bracket,
        why,
    ]
}

/// A share as a percentage with no more digits than it carries.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".into()
    } else if percent < 0.1 {
        "< 0.1 %".into()
    } else if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// Rows under heads, in columns as wide as they need.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |c: usize| {
        let cells = rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count());
        cells.chain([heads[c].len()]).max().unwrap_or(0)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.enumerate().map(|(c, cell)| format!("{cell:<w$}", w = width(c))).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut out = line(&mut heads.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up_and_names_what_binds() {
        let answer = serde_json::json!({
            "headline": "Losing it cuts a lot.",
            "results": [
                {"target": "semiconductors", "loss": {"value": 0.371, "low": 0.24, "high": 0.51},
                 "bracket": {"critical_first": 0.22, "proportional": 0.61},
                 "binding": [{"input": "gaas_wafer", "supplier_product": "gallium"}]},
                {"target": "ev", "loss": {"value": 0.0}, "binding": [], "zero_reason": "no_path"},
            ]
        });
        let text = impact(&answer);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Losing it cuts a lot.");
        assert!(lines[4].contains("37 %  24 % - 51 %"), "{text}");
        assert!(lines[4].ends_with("gaas_wafer (gallium)"), "{text}");
        assert!(lines[5].contains(" 0 %") && lines[5].ends_with("no path"), "{text}");
    }
}
