//! HTML pages without script: the shell around a body, and Markdown as HTML.

use base64::Engine;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use sha2::{Digest, Sha256};

use super::svg::STYLE;
use super::text::escape;

/// Style of pages, beside that of pictures.
const PAGE_STYLE: &str = include_str!("page.css");

/// What a browser may do with a page or picture of ours: show it with its own style, and nothing
/// else. No script runs, nothing is loaded from elsewhere.
pub fn content_security_policy() -> String {
    let hash = |text: &str| {
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()))
    };
    format!(
        "default-src 'none'; style-src 'sha256-{}' 'sha256-{}'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(&style()),
        hash(STYLE),
    )
}

/// The style element's text.
fn style() -> String {
    format!("{STYLE}{PAGE_STYLE}")
}

/// A whole page around a body of safe HTML.
pub fn page(title: &str, body: &str) -> String {
    let (title, style) = (escape(title), style());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"/explore/icon.svg\" type=\"image/svg+xml\">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n<body class=\"page\">\n{body}</body>\n</html>\n"
    )
}

/// The bar on top of every page.
pub fn bar(here: &str) -> String {
    let links = [
        ("/explore", "Explorer"),
        ("/tutorial", "Tutorial"),
        ("/methods", "Methods"),
        ("/docs/", "API"),
    ];
    let links: String = links
        .iter()
        .map(|(path, name)| {
            let current = if here == *path { " aria-current=\"page\"" } else { "" };
            format!("<a href=\"{path}\"{current}>{name}</a>")
        })
        .collect();
    format!(
        "<header class=\"bar\"><a class=\"brand\" href=\"/explore\">Chokepoint</a><nav aria-label=\"Site\">{links}</nav></header>\n"
    )
}

/// Our own Markdown as HTML; headings get ids, so that sections can be linked.
pub fn markdown(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let mut events: Vec<Event<'_>> = parser.collect();
    let mut at = 0;
    while at < events.len() {
        if let Event::Start(Tag::Heading { .. }) = events[at] {
            let end = events[at..]
                .iter()
                .position(|e| matches!(e, Event::End(TagEnd::Heading(_))))
                .map_or(events.len(), |n| at + n);
            let words: String = events[at..end]
                .iter()
                .filter_map(|e| match e {
                    Event::Text(t) | Event::Code(t) => Some(t.as_ref()),
                    _ => None,
                })
                .collect();
            if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
                *id = Some(slug(&words).into());
            }
            at = end;
        }
        at += 1;
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    // Wide tables and code scroll by themselves, and by keyboard.
    out.replace("<table>", "<div class=\"scroll\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>")
        .replace("<pre>", "<pre tabindex=\"0\">")
}

fn slug(words: &str) -> String {
    let mut slug = String::new();
    for c in words.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
