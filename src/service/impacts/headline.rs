//! The headline of an answer: one sentence made from a template.

use super::answer::TargetResult;
use crate::graph::Snapshot;
use crate::model::scenario::{RationingRule, ScenarioBody, Shock};

/// A fraction as a whole percentage; what is not zero is never shown as zero.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 {
        "0 %".into()
    } else if percent < 0.5 {
        "under 1 %".into()
    } else if percent > 99.5 && share < 1.0 {
        "over 99 %".into()
    } else {
        format!("{percent:.0} %")
    }
}

/// A range as whole percentages: `24-51 %`.
pub fn percent_range(low: f64, high: f64) -> String {
    let (low, high) = (percent(low), percent(high));
    if low == high {
        return low;
    }
    // "under 1-4 %" would say something else.
    let plain = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    match low.strip_suffix(" %") {
        Some(number) if plain(&low) && plain(&high) => format!("{number}-{high}"),
        _ => format!("{low} to {high}"),
    }
}

/// A product or stage as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// What happens, as a noun phrase.
fn subject(snapshot: &Snapshot, shocks: &[Shock]) -> String {
    let [shock] = shocks else {
        return match shocks {
            [] => "Removing nothing".into(),
            many => format!("This scenario ({} shocks)", many.len()),
        };
    };
    let Some(select) = &shock.select else {
        return shock.name.clone().map_or("Cutting flows".into(), |n| format!("\"{n}\""));
    };
    let places: Vec<String> = select
        .country
        .iter()
        .chain(select.bloc.iter())
        .map(|code| snapshot.countries().get(code).map_or(code, |c| c.name.as_str()).to_owned())
        .collect();
    let stages: Vec<String> = select
        .stage
        .iter()
        .map(|s| match s {
            "refine" => "refining".to_owned(),
            "mine" => "mining".to_owned(),
            other => format!("{} stage", words(other)),
        })
        .collect();
    let products: Vec<String> = select.product.iter().take(4).map(words).collect();
    let nodes: Vec<String> = select.node.iter().take(3).map(str::to_owned).collect();
    let owner = !(places.is_empty() || products.is_empty() && stages.is_empty());
    let place = if owner { format!("{}'s", list(&places)) } else { list(&places) };
    let mut what = [place, list(&products), list(&stages)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    if !nodes.is_empty() {
        what = if what.is_empty() { list(&nodes) } else { format!("{what} {}", list(&nodes)) };
    }
    if what.is_empty() {
        what = "the selection".into();
    }
    match (&shock.restrict, shock.loss) {
        (Some(_), _) => format!("Restricting exports of {what}"),
        (None, Some(loss)) if loss < 1.0 => format!("Losing {} of {what}", percent(loss)),
        _ => format!("Losing {what}"),
    }
}

/// One sentence: what happens, what each main target loses, what binds, which rationing is quoted.
pub fn headline(snapshot: &Snapshot, body: &ScenarioBody, results: &[TargetResult]) -> String {
    let subject = subject(snapshot, &body.shocks);
    // Regions of a target ("semiconductors/USA") stand in the table, not in the sentence.
    let main: Vec<&TargetResult> = results.iter().filter(|r| !r.target.contains('/')).collect();
    let main = if main.is_empty() { results.iter().collect() } else { main };
    if main.is_empty() {
        return format!("{subject}: no target was asked for; see the index and the nodes.");
    }
    let loses: Vec<&&TargetResult> = main.iter().filter(|r| r.zero_reason.is_none()).collect();
    if loses.is_empty() {
        let why = main[0].zero_explanation.unwrap_or("nothing is lost");
        let names: Vec<String> = main.iter().take(5).map(|r| words(&r.target)).collect();
        return format!("{subject} costs {} nothing: {why}.", list(&names));
    }
    let parts: Vec<String> = loses
        .iter()
        .take(5)
        .map(|r| {
            let range = match (r.loss.low, r.loss.high) {
                (Some(low), Some(high)) => format!(" ({})", percent_range(low, high)),
                _ => String::new(),
            };
            let binds = r
                .binding
                .first()
                .map(|b| {
                    if b.input == b.supplier_product {
                        format!(", {} binds", words(&b.input))
                    } else {
                        format!(
                            ", {} for want of {} binds",
                            words(&b.input),
                            words(&b.supplier_product)
                        )
                    }
                })
                .unwrap_or_default();
            format!("{} by {}{range}{binds}", words(&r.target), percent(r.loss.value))
        })
        .collect();
    let rationing = match body.model.rationing.as_ref().map(|r| r.rule) {
        Some(RationingRule::Priority) => " with critical uses served first",
        Some(RationingRule::MaxMin) => " with max-min rationing",
        _ => " with proportional rationing",
    };
    format!("{subject} cuts {}{rationing}.", parts.join("; "))
}
