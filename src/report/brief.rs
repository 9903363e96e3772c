//! The brief: one printable page for people who decide. On paper it is set small and in two columns
//! (`page.css`), without the regions and with the first sources only, so that it fits one sheet.

use std::fmt::Write;

use super::answer::{Answer, Help, Target};
use super::page::{bar, page};
use super::text::{clip, escape, percent, quantity, step, with_range, words};
use super::{ranking, sankey, timeline};

/// Sources listed.
const SOURCES: usize = 10;
/// Characters of a name in running text; the whole of it stands in the tables to download.
const NAME: usize = 160;

/// The brief of an answer as HTML. `measures`: what would help, if it was evaluated. `id` is the answer that was asked for: its permalink stands on
/// the page.
pub fn brief(answer: &Answer, measures: Option<&Help>, id: &str) -> String {
    let mut body = bar("");
    body.push_str("<main class=\"brief\">\n");
    head(&mut body, answer, id);
    targets(&mut body, answer);
    pictures(&mut body, answer);
    why(&mut body, answer);
    help(&mut body, answer, measures, id);
    sources(&mut body, answer);
    caveats(&mut body, answer);
    permalink(&mut body, answer, id);
    body.push_str("</main>\n");
    page(&format!("Brief: {}", clip(answer.title(), NAME)), &body)
}

fn name(text: &str) -> String {
    escape(&clip(&words(text), NAME))
}

fn head(out: &mut String, answer: &Answer, id: &str) {
    let title = escape(&clip(answer.title(), NAME));
    let headline = escape(&clip(&answer.headline, 1200));
    let _ = writeln!(out, "<h1>{title}</h1>\n<p class=\"lead\">{headline}</p>");
    if let Some(text) = &answer.scenario.description {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&clip(text, 1500)));
    }
    let _ = writeln!(
        out,
        "<p class=\"soft\">{} version {} · {} nodes and {} flows hit · <a href=\"/explore?impact={}\">open in the explorer</a></p>",
        escape(&answer.graph),
        answer.version,
        answer.removed.nodes,
        answer.removed.flows,
        escape(id)
    );
}

fn card(out: &mut String, target: &Target) {
    let range = match target.loss.range() {
        Some((low, high)) => format!("range {} – {}", percent(low), percent(high)),
        None => match target.bracket {
            Some(b) => format!(
                "{} to {}, by who is served first",
                percent(b.critical_first.min(b.proportional)),
                percent(b.proportional.max(b.critical_first))
            ),
            None => "no range was computed".into(),
        },
    };
    let first = target
        .first_shortage_day
        .map_or(String::new(), |d| format!("<span>short from day {d:.0}</span>"));
    let _ = writeln!(
        out,
        "<div class=\"card\"><span>{}</span><strong>−{}</strong><span>{}</span>{first}</div>",
        name(&target.target),
        percent(target.loss.value),
        escape(&range)
    );
}

fn targets(out: &mut String, answer: &Answer) {
    out.push_str("<div class=\"cards\">\n");
    for target in answer.main_targets(None).unwrap_or_default() {
        card(out, target);
    }
    out.push_str("</div>\n<h2 class=\"wide\">The numbers</h2>\n<div class=\"scroll wide\"><table>\n<thead><tr><th scope=\"col\">Target</th><th scope=\"col\" class=\"number\">Loss</th><th scope=\"col\" class=\"number\">Range</th><th scope=\"col\" class=\"number\">Critical first – alike</th><th scope=\"col\">What binds</th><th scope=\"col\" class=\"number\">First shortage</th><th scope=\"col\">Share of what</th></tr></thead>\n<tbody>\n");
    let main: Vec<&Target> = answer.results.iter().filter(|r| !r.is_region()).collect();
    let main = if main.is_empty() { answer.results.iter().collect() } else { main };
    for row in &main {
        let range = row
            .loss
            .range()
            .map_or("–".into(), |(l, h)| format!("{} – {}", percent(l), percent(h)));
        let bracket = row.bracket.map_or("–".into(), |b| {
            format!("{} – {}", percent(b.critical_first), percent(b.proportional))
        });
        let binding: Vec<String> = row
            .binding
            .iter()
            .take(2)
            .map(|b| {
                if b.input == b.supplier_product {
                    name(&b.input)
                } else {
                    format!("{} for want of {}", name(&b.input), name(&b.supplier_product))
                }
            })
            .collect();
        let binding = match (&row.zero_explanation, binding.is_empty()) {
            (Some(why), _) => escape(&clip(why, 300)),
            (None, true) => "–".into(),
            (None, false) => binding.join("; "),
        };
        let day = row.first_shortage_day.map_or("–".into(), |d| format!("day {d:.0}"));
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{range}</td><td class=\"number\">{bracket}</td><td>{binding}</td><td class=\"number\">{day}</td><td>{} {}</td></tr>",
            name(&row.target),
            percent(row.loss.value),
            quantity(row.baseline.value),
            name(&row.baseline.unit),
        );
    }
    out.push_str("</tbody></table></div>\n");
    regions(out, answer, &main);
}

/// Regions as rows, targets as columns.
fn regions(out: &mut String, answer: &Answer, main: &[&Target]) {
    let mut regions: Vec<&str> = Vec::new();
    for row in &answer.results {
        if let Some((_, region)) = row.target.rsplit_once('/')
            && !regions.contains(&region)
        {
            regions.push(region);
        }
    }
    if regions.is_empty() || main.iter().any(|target| target.is_region()) {
        return;
    }
    out.push_str("<h3 class=\"regions\">By region</h3>\n<div class=\"scroll regions\"><table>\n<thead><tr><th scope=\"col\">Region</th>");
    for target in main {
        let _ = write!(out, "<th scope=\"col\" class=\"number\">{}</th>", name(&target.target));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for region in regions.iter().take(40) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", name(region));
        for target in main {
            let wanted = format!("{}/{region}", target.target);
            let cell = answer
                .results
                .iter()
                .find(|r| r.target == wanted)
                .map_or("–".into(), |r| with_range(r.loss.value, r.loss.range()));
            let _ = write!(out, "<td class=\"number\">{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn pictures(out: &mut String, answer: &Answer) {
    for picture in
        [sankey::sankey(answer, None), ranking::ranking(answer, true)].into_iter().flatten()
    {
        let _ = writeln!(out, "<figure>{}</figure>", picture.inline());
    }
    match timeline::timeline(answer, None) {
        Ok(picture) => {
            let _ = writeln!(out, "<figure>{}</figure>", picture.inline());
        }
        Err(_) => out.push_str(
            "<p class=\"soft\">The clock: this is a steady state, where the network ends once stocks have run out. \
             Ask with <code>model.mode: \"timeline\"</code> for days.</p>\n",
        ),
    }
}

fn why(out: &mut String, answer: &Answer) {
    out.push_str("<h2>Why</h2>\n");
    for target in answer.main_targets(None).unwrap_or_default() {
        let Some(explained) = answer.explained(&target.target) else { continue };
        if explained.chains.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "<h3>{}: {}</h3>\n<ul>",
            name(&target.target),
            with_range(target.loss.value, target.loss.range())
        );
        for chain in explained.chains.iter().take(5) {
            let path: Vec<String> =
                chain.path.iter().map(|s| escape(&clip(&step(s), NAME))).collect();
            let _ = writeln!(
                out,
                "<li>{}: {} of the output, {} of the loss</li>",
                path.join(" → "),
                percent(chain.amount),
                percent(chain.share)
            );
        }
        let listed: f64 = explained.chains.iter().take(5).map(|c| c.amount).sum();
        let rest = explained.loss - listed;
        if rest > 1e-6 {
            let _ = writeln!(out, "<li>other chains: {} of the output</li>", percent(rest));
        }
        out.push_str("</ul>\n");
        if explained.joint > 0.005 {
            let _ = writeln!(
                out,
                "<p class=\"soft\">If only what binds were made whole, {} would still be lost: other inputs are short too.</p>",
                percent(explained.joint)
            );
        }
    }
}

fn help(out: &mut String, answer: &Answer, help: Option<&Help>, id: &str) {
    let id = escape(id);
    out.push_str("<h2 class=\"wide\">What would help</h2>\n");
    let measures: Vec<_> = help
        .iter()
        .flat_map(|help| &help.mitigations)
        .filter_map(|measure| measure.best().map(|best| (measure, best)))
        .collect();
    if measures.is_empty() {
        out.push_str(if help.is_some() {
            "<p>No project, stock, second source, substitute or eased restriction that is known here avoids any of this loss alone.</p>\n"
        } else {
            "<p>Measures were not evaluated for this page.</p>\n"
        });
    } else {
        out.push_str("<div class=\"scroll wide help\"><table>\n<thead><tr><th scope=\"col\">Measure</th><th scope=\"col\" class=\"number\">Avoids most</th><th scope=\"col\">Of the loss of</th><th scope=\"col\" class=\"number\">Cost</th><th scope=\"col\">Source</th></tr></thead>\n<tbody>\n");
        for (measure, (target, avoided)) in &measures {
            let cost = measure.cost.as_ref().map_or("unknown".into(), |cost| {
                format!("{} {}", quantity(cost.value), escape(&clip(&cost.unit, 20)))
            });
            let year = if measure.basis == "first_year" { ", first year" } else { "" };
            let source = measure.source.as_deref().unwrap_or("suggested by the answer itself");
            let _ = writeln!(
                out,
                "<tr><td>{}: {}</td><td class=\"number\">{} points{year}</td><td>{}</td><td class=\"number\">{cost}</td><td>{}</td></tr>",
                name(&measure.kind),
                escape(&clip(&measure.what, NAME)),
                share(*avoided),
                name(target),
                escape(&clip(source, 120)),
            );
        }
        out.push_str("</tbody></table></div>\n");
    }
    if let Some((help, last)) = help.and_then(|help| Some((help, help.combined.last()?))) {
        let left: Vec<String> = answer
            .main_targets(None)
            .unwrap_or_default()
            .iter()
            .filter_map(|target| {
                let name = &target.target;
                Some((name, last.loss_after.get(name)?, help.losses.get(name)?))
            })
            .map(|(target, after, before)| {
                format!("{} {} instead of {}", name(target), percent(*after), percent(*before))
            })
            .collect();
        let together: Vec<String> =
            last.measures.iter().map(|m| escape(&clip(&words(m), NAME))).collect();
        if !left.is_empty() {
            let _ = writeln!(
                out,
                "<p>Together ({}), evaluated so that nothing counts twice, they leave: {}.</p>",
                together.join("; "),
                left.join("; ")
            );
        }
    }
    let _ = writeln!(
        out,
        "<p class=\"soft\"><a href=\"/v1/impacts/{id}/mitigations\">All measures</a> with costs and limits; \
         <a href=\"/methods/mitigation\">how they are evaluated</a>.</p>"
    );
}

/// Percentage points, with a digit more below one.
fn share(part: f64) -> String {
    let points = part * 100.0;
    if points < 0.05 {
        "< 0.1".into()
    } else if points < 1.0 {
        format!("{points:.1}")
    } else {
        format!("{points:.0}")
    }
}

fn sources(out: &mut String, answer: &Answer) {
    let q = &answer.quality;
    let _ = writeln!(
        out,
        "<h2>Sources</h2>\n<p>Of the figures on the way, weighted by the loss that they carry: {} measured, {} recalled without a second check, {} estimates.</p>",
        percent(q.measured),
        percent(q.recalled),
        percent(q.estimate)
    );
    // A bar without inline style, which the page's policy forbids: rectangles.
    let mut at = 0.0;
    out.push_str("<svg class=\"picture shares\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for (share, class) in [(q.measured, "l0"), (q.recalled, "l6"), (q.estimate, "loss3")] {
        let width = (share * 100.0).clamp(0.0, 100.0);
        let _ = write!(
            out,
            "<rect x=\"{at:.2}\" width=\"{width:.2}\" height=\"4\" class=\"{class}\"/>"
        );
        at += width;
    }
    out.push_str("</svg>\n<div class=\"scroll sources\"><table>\n<thead><tr><th scope=\"col\">Source</th><th scope=\"col\" class=\"number\">Share of the answer</th></tr></thead>\n<tbody>\n");
    for source in answer.sources.iter().take(SOURCES) {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"number\">{}</td></tr>",
            escape(&clip(&source.source, 400)),
            percent(source.share)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn caveats(out: &mut String, answer: &Answer) {
    out.push_str("<h2>Read this with it</h2>\n<ul>\n<li>A loss is a share of the target's own yearly output, as the last column of the table says; it is not a share of an economy.</li>\n<li>Trade records name the last shipper, not the origin: what passes through a third country counts for that country.</li>\n");
    let q = &answer.quality;
    let _ = writeln!(
        out,
        "<li>{} of the answer rests on estimates and {} on recalled figures. Check those first that carry most.</li>",
        percent(q.estimate),
        percent(q.recalled)
    );
    if let Some(range) = answer.range {
        let _ = writeln!(
            out,
            "<li>Ranges are the 5th to 95th percentile over {} draws of {} figures, each from its own range: \
             they say how well the figures are known, not how well the model fits. \
             <a href=\"/methods/uncertainty\">Method</a>.</li>",
            range.draws, range.figures
        );
    } else if answer.results.iter().all(|r| r.loss.range().is_none()) {
        out.push_str(
            "<li>No range was computed for this answer: the numbers are central values.</li>\n",
        );
    }
    if answer.results.iter().any(|r| r.bracket.is_some()) {
        out.push_str("<li>Who is served first when supply is short decides much: the table gives the loss with critical uses first and with everyone served alike.</li>\n");
    }
    for warning in &answer.quality.warnings {
        let _ = writeln!(out, "<li>{}</li>", escape(&clip(warning, 600)));
    }
    out.push_str("<li><a href=\"/methods/impact\">How the losses are computed</a>, with formulas, sources and limits.</li>\n</ul>\n");
}

fn permalink(out: &mut String, answer: &Answer, id: &str) {
    let id = escape(id);
    let _ = writeln!(
        out,
        "<h2>Permalink</h2>\n<p>The same question on the same data gives the same bytes: \
         <a href=\"/v1/impacts/{id}/brief.html\">/v1/impacts/{id}/brief.html</a></p>\n\
         <p class=\"soft\">{} version {} · {} · tables: <a href=\"/v1/impacts/{id}/table.xlsx\">Excel</a>, \
         <a href=\"/v1/impacts/{id}/table.csv\">CSV</a> · <a href=\"/v1/impacts/{id}\">JSON</a></p>",
        escape(&answer.graph),
        answer.version,
        escape(&answer.engine)
    );
}
