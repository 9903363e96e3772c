//! Pages for people: the explorer with its files, methods, the tutorial, `llms.txt`. All of them
//! are part of the binary, and nothing they show comes from elsewhere.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::{Code, Problem};
use super::reports::guard;
use crate::model::selector::suggest;
use crate::report::page::{bar, markdown, page};
use crate::report::text::escape;

/// What the explorer may do: run its own modules and ask its own server.
const EXPLORER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// A file of the explorer.
struct Asset {
    name: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $media:literal,)*) => {
        &[$(Asset { name: $name, media: $media, bytes: include_bytes!(concat!("page/", $name)) },)*]
    };
}

/// Files of the explorer. `vendor/cytoscape.min.js` is cytoscape 3.34.4 (MIT) as published; its
/// licence stands beside it.
const ASSETS: &[Asset] = assets! {
    "index.html" "text/html; charset=utf-8",
    "explore.css" "text/css; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "main.js" "text/javascript; charset=utf-8",
    "state.js" "text/javascript; charset=utf-8",
    "api.js" "text/javascript; charset=utf-8",
    "dom.js" "text/javascript; charset=utf-8",
    "format.js" "text/javascript; charset=utf-8",
    "layout.js" "text/javascript; charset=utf-8",
    "map.js" "text/javascript; charset=utf-8",
    "table.js" "text/javascript; charset=utf-8",
    "ask.js" "text/javascript; charset=utf-8",
    "answer.js" "text/javascript; charset=utf-8",
    "why.js" "text/javascript; charset=utf-8",
    "weak.js" "text/javascript; charset=utf-8",
    "help.js" "text/javascript; charset=utf-8",
    "element.js" "text/javascript; charset=utf-8",
    "clock.js" "text/javascript; charset=utf-8",
    "compare.js" "text/javascript; charset=utf-8",
    "search.js" "text/javascript; charset=utf-8",
    "vendor/cytoscape.min.js" "text/javascript; charset=utf-8",
    "vendor/cytoscape.LICENSE" "text/plain; charset=utf-8",
};

/// A page about how something is computed.
struct Method {
    name: &'static str,
    text: &'static str,
}

macro_rules! methods {
    ($($name:literal,)*) => {
        &[$(Method { name: $name, text: include_str!(concat!("page/methods/", $name, ".md")) },)*]
    };
}

/// Methods, in the order of the list at `/methods`.
const METHODS: &[Method] = methods! {
    "impact",
    "rationing",
    "timeline",
    "uncertainty",
    "validation",
    "explanation",
    "knock-outs",
    "choke-points",
    "cuts",
    "cut-sets",
    "mitigation",
    "exposure",
    "concentration",
    "centrality",
    "synthesis",
    "reports",
    "engines",
};

const TUTORIAL: &str = include_str!("page/tutorial.md");
const LLMS: &str = include_str!("page/llms.txt");

/// Routes of the pages. They are no part of the API, so the OpenAPI document does not hold them.
pub fn pages(config: &mut web::ServiceConfig) {
    macro_rules! page {
        ($path:literal, $handler:ident) => {
            web::resource($path).route(web::get().to($handler)).route(web::head().to($handler))
        };
    }
    config
        .service(page!("/explore", explorer))
        .service(page!("/explore/", explorer))
        .service(page!("/explore/{file:.*}", asset))
        .service(page!("/methods", list_methods))
        .service(page!("/methods/{name}", method))
        .service(page!("/tutorial", tutorial))
        .service(page!("/llms.txt", llms));
}

/// Bytes with an ETag of their content; 304 if the browser has them.
fn file(request: &HttpRequest, media: &str, bytes: impl Into<web::Bytes>) -> HttpResponse {
    let bytes = bytes.into();
    let tag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(&bytes));
    let known = request.headers().get(IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    // A compressing proxy or middleware may weaken the tag.
    let same = known.is_some_and(|tags| {
        tags.split(',')
            .any(|t| t.trim().trim_start_matches("W/").trim_matches('"') == tag.trim_matches('"'))
    });
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "same-origin"));
    if same {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, media)).body(bytes)
}

fn explorer_file(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let mut response = file(request, asset.media, web::Bytes::from_static(asset.bytes));
    let policy = actix_web::http::header::HeaderValue::from_static(EXPLORER_POLICY);
    let name = actix_web::http::header::HeaderName::from_static("content-security-policy");
    response.headers_mut().insert(name, policy);
    response
}

fn absent(what: &str, name: &str, hint: String) -> Problem {
    Problem::new(Code::NoSuchPath, format!("there is no {what} {name}")).hint(hint)
}

async fn explorer(request: HttpRequest) -> HttpResponse {
    explorer_file(&request, &ASSETS[0])
}

async fn asset(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == path.as_str());
    let asset = asset.ok_or_else(|| absent("file", &path, "the explorer is at /explore".into()))?;
    Ok(explorer_file(&request, asset))
}

fn document(request: &HttpRequest, html: &str) -> HttpResponse {
    let mut response =
        file(request, "text/html; charset=utf-8", web::Bytes::copy_from_slice(html.as_bytes()));
    guard(response.headers_mut());
    response
}

/// Title (the first heading) and first paragraph of a Markdown text.
fn heading(text: &str) -> (&str, &str) {
    let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("Method");
    let lead = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    (title, lead.unwrap_or_default())
}

async fn list_methods(request: HttpRequest) -> HttpResponse {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let items: String = METHODS
            .iter()
            .map(|method| {
                let (title, lead) = heading(method.text);
                format!(
                    "<li><a href=\"/methods/{}\">{}</a><br><span class=\"soft\">{}</span></li>\n",
                    method.name,
                    escape(title),
                    escape(lead)
                )
            })
            .collect();
        let body = format!(
            "{}<main><h1>Methods</h1>\n<p class=\"lead\">How every answer is computed: formula, \
             source, limits. One semantics stands under impact, knock-outs, cut sets and \
             mitigation, so that their answers agree.</p>\n<ul class=\"plain\">\n{items}</ul></main>\n",
            bar("/methods")
        );
        page("Methods", &body)
    });
    document(&request, &LIST)
}

async fn method(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = METHODS.iter().find(|method| method.name == path.as_str());
    let method = found.ok_or_else(|| {
        let near = suggest(&path, METHODS.iter().map(|m| m.name));
        let hint = near.map_or("see /methods".into(), |near| format!("did you mean {near}?"));
        absent("method", &path, hint)
    })?;
    let (title, _) = heading(method.text);
    let body = format!("{}<main>{}</main>\n", bar("/methods"), markdown(method.text));
    Ok(document(&request, &page(title, &body)))
}

async fn tutorial(request: HttpRequest) -> HttpResponse {
    let body = format!("{}<main>{}</main>\n", bar("/tutorial"), markdown(TUTORIAL));
    document(&request, &page("Tutorial", &body))
}

async fn llms(request: HttpRequest) -> HttpResponse {
    file(&request, "text/plain; charset=utf-8", web::Bytes::from_static(LLMS.as_bytes()))
}
