//! Pages, pictures and tables for people: stable bytes, text that stays text, nothing from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::{Reply, Server};
use serde_json::{Value, json};

/// Names that would do harm if they were read as anything but text.
fn hostile() -> Vec<String> {
    vec![
        "<script>alert(1)</script>".into(),
        "\"><img src=x onerror=alert(1)>".into(),
        "=HYPERLINK(\"http://example.org\")".into(),
        "safe\u{202E}gpj.exe".into(),
        format!("long{}", "x".repeat(10_000)),
    ]
}

/// A server with the bundled graph, and the id of the flagship's answer.
fn flagship() -> (tempfile::TempDir, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]);
    let asked = server
        .post(
            "/v1/graphs/critical-minerals/impacts",
            &json!({"scenario": "china-refining-stops", "draws": 20}),
        )
        .ok(200);
    let id = asked["id"].as_str().unwrap().to_owned();
    assert_eq!(asked["links"]["explore"], format!("/explore?impact={id}"));
    (dir, server, id)
}

/// A server with a chain of hostile names, and the id of an answer about it.
fn hostile_graph() -> (tempfile::TempDir, Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({"title": "<b>Bad</b> names"})).ok(201);
    let mut lines = String::new();
    for (i, name) in hostile().iter().enumerate() {
        // Labels hold 512 bytes; names of targets may be longer.
        let name: String = name.chars().take(500).collect();
        let made = json!({"type": "node", "id": format!("n{i}"), "product": name, "stage": name, "country": "CHN"});
        lines.push_str(&format!("{made}\n"));
    }
    for i in 1..hostile().len() {
        let flow = json!({"type": "flow", "from": format!("n{}", i - 1), "to": format!("n{i}"), "quantity": 1});
        lines.push_str(&format!("{flow}\n"));
    }
    server.import("g", "", &lines).ok(200);
    let last = hostile().len() - 1;
    let asked = json!({"title": hostile()[0], "shocks": [{"name": hostile()[1], "select": {"node": "n0"}}],
        "targets": [{"name": hostile()[0], "select": {"node": format!("n{last}")}},
                    {"name": hostile()[2], "select": {"node": "n2"}},
                    {"name": hostile()[4], "select": {"node": "n1"}}]});
    let id = server.post("/v1/graphs/g/impacts", &asked).ok(200)["id"].as_str().unwrap().to_owned();
    (dir, server, id)
}

/// Start tags of a document.
fn tags(text: &str) -> Vec<&str> {
    text.split('<')
        .skip(1)
        .filter(|t| t.starts_with(|c: char| c.is_ascii_alphabetic()))
        .map(|t| t.split([' ', '>', '/', '\n']).next().unwrap())
        .collect()
}

/// A document that a browser shows without script, and that loads nothing.
fn harmless(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe-inline") && !policy.contains("script-src"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    let text = &reply.text;
    for tag in tags(text) {
        let forbidden = ["script", "iframe", "object", "embed", "form", "img", "b"];
        assert!(!forbidden.contains(&tag), "<{tag}> in {}", &text[..text.len().min(400)]);
    }
    assert!(!text.contains(" onerror=alert(1)>") && !text.contains(" style=\""), "{text}");
    for (at, _) in text.match_indices("http") {
        let rest = &text[at..text.len().min(at + 40)];
        let named = rest.starts_with("http://www.w3.org/2000/svg")
            || rest.starts_with("http://127.0.0.1:8080")
            || rest.starts_with("http://example.org");
        assert!(named || !rest.starts_with("http://") && !rest.starts_with("https://"), "{rest}");
    }
}

const PICTURES: &[&str] = &["sankey.svg", "ranking.svg", "world.svg"];

#[test]
fn pictures_and_the_brief_are_the_same_bytes_after_a_restart() {
    let (dir, server, id) = flagship();
    let paths: Vec<String> = PICTURES
        .iter()
        .copied()
        .chain(["brief.html", "table.csv", "tables/chains.csv", "tables/countries.csv"])
        .map(|name| format!("/v1/impacts/{id}/{name}"))
        .collect();
    let before: Vec<Reply> = paths.iter().map(|path| server.get(path)).collect();
    for (path, reply) in paths.iter().zip(&before) {
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        assert_eq!(server.get(path).text, reply.text, "{path} again");
        assert!(reply.header("cache-control").contains("immutable"), "{path}");
    }
    server.terminate();
    let server = Server::start(&dir.path().join("data"), &[]);
    for (path, reply) in paths.iter().zip(&before) {
        assert_eq!(server.get(path).text, reply.text, "{path} after a restart");
    }
}

#[test]
fn what_a_page_or_picture_needs_can_be_made_by_a_job() {
    let (dir, server, id) = flagship();
    let path = |name: &str| format!("/v1/impacts/{id}/{name}");
    let exposure = json!({"target": {"product": "ddg51"}, "on": {"country": "CHN"}});
    let exposed = server.post("/v1/graphs/critical-minerals/exposure", &exposure).ok(200);
    server.terminate();
    let server = Server::start(&dir.path().join("data"), &[]);
    // Each of them needs a part that nothing before it has made. A brief needs two, one by one.
    for (path, jobs) in [
        (path("table.csv"), 1),
        (path("explanation"), 1),
        (path("tornado.svg"), 1),
        (path("timeline.svg"), 1),
        (path("world.svg"), 1),
        (path("table.xlsx"), 1),
        (path("brief.html"), 2),
        (format!("/v1/graphs/critical-minerals/overview?impact={id}"), 0),
        (exposed["permalink"].as_str().unwrap().to_owned(), 1),
    ] {
        for _ in 0..jobs {
            let reply = server.get_with(&path, &[("prefer", "respond-async")]);
            assert_eq!(reply.status, 202, "{path}: {}", reply.text);
            assert!(reply.header("location").starts_with("/v1/jobs/"));
            assert_eq!(server.end_of_job(&reply.json())["state"], "succeeded", "{path}");
        }
        let made = server.get_with(&path, &[("prefer", "respond-async")]);
        assert_eq!(made.status, 200, "{path}: {}", made.text);
    }
}

#[test]
fn pictures_have_title_and_description_and_their_bars_add_up() {
    let (_dir, server, id) = flagship();
    for name in PICTURES {
        let reply = server.get(&format!("/v1/impacts/{id}/{name}"));
        harmless(&reply);
        assert_eq!(reply.header("content-type"), "image/svg+xml");
        let document = roxmltree::Document::parse(&reply.text).unwrap();
        let root = document.root_element();
        let children: Vec<&str> =
            root.children().filter(|n| n.is_element()).map(|n| n.tag_name().name()).collect();
        assert_eq!(children[..2], ["title", "desc"], "{name}");
        assert_eq!(root.attribute("role"), Some("img"));
        assert!(root.descendants().filter(|n| n.has_tag_name("text")).count() > 5, "{name}");
    }
    // One target alone: its ribbons into the last box have the height of its loss.
    let one = server.get(&format!("/v1/impacts/{id}/sankey.svg?target=semiconductors"));
    assert!(one.text.contains(">semiconductors: "), "{}", one.text);
    assert!(!one.text.contains(">electric vehicles: "), "{}", one.text);
    let light = server.get(&format!("/v1/impacts/{id}/sankey.svg?theme=light"));
    assert!(light.text.contains("class=\"picture light\""));
    server.get(&format!("/v1/impacts/{id}/sankey.svg?target=semis")).problem(404, "not_found");
    server
        .get(&format!("/v1/impacts/{id}/sankey.svg?colour=red"))
        .problem(400, "invalid_parameter");
    server.get("/v1/impacts/imp_0/brief.html").problem(404, "not_found");
}

#[test]
fn the_brief_says_what_a_minister_needs() {
    let (_dir, server, id) = flagship();
    let reply = server.get(&format!("/v1/impacts/{id}/brief.html"));
    harmless(&reply);
    let answer = server.get(&format!("/v1/impacts/{id}")).ok(200);
    let headline = answer["headline"].as_str().unwrap().replace('\'', "&#39;");
    assert!(reply.text.contains(&headline));
    for part in [
        "The numbers",
        "Where the losses come from",
        "Why",
        "What would help",
        "Avoids most",
        "points",
        "nothing counts twice",
        "Sources",
        "last shipper",
        "rests on estimates",
        "over 20 draws",
        "Permalink",
        "Share of what",
        "The clock",
    ] {
        assert!(reply.text.contains(part), "no \"{part}\"");
    }
    assert!(reply.text.contains(&format!("/explore?impact={id}")));
}

#[test]
fn names_stay_text_everywhere() {
    let (_dir, server, id) = hostile_graph();
    for name in PICTURES.iter().copied().chain(["brief.html"]) {
        let reply = server.get(&format!("/v1/impacts/{id}/{name}"));
        harmless(&reply);
        assert!(!reply.text.contains('\u{202E}'), "{name} turns direction");
        // A name of 10 kB is clipped; the whole of it stands in the tables.
        assert!(!reply.text.contains(&"x".repeat(2_000)), "{name}");
        if name.ends_with("svg") {
            roxmltree::Document::parse(&reply.text).unwrap();
        }
    }
    let csv = server.get(&format!("/v1/impacts/{id}/tables/targets.csv"));
    assert!(csv.text.contains("'=HYPERLINK"), "{}", csv.text);
    let csv = server.get(&format!("/v1/impacts/{id}/tables/chains.csv"));
    assert!(csv.text.contains(&"x".repeat(10_000)));
    server.get(&format!("/v1/impacts/{id}/tables/nothing.csv")).problem(404, "not_found");
    let overview = server.get("/v1/graphs/g/overview").ok(200);
    assert_eq!(overview["nodes"].as_array().unwrap().len(), hostile().len());
}

#[test]
fn the_workbook_is_a_zip_with_a_sheet_for_each_table() {
    let (_dir, server, id) = flagship();
    let read = || server.bytes(&format!("/v1/impacts/{id}/table.xlsx"));
    let bytes = read();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes.clone())).unwrap();
    let mut text = String::new();
    let mut workbook = archive.by_name("xl/workbook.xml").unwrap();
    std::io::Read::read_to_string(&mut workbook, &mut text).unwrap();
    for sheet in ["targets", "chains", "origins", "countries", "losses", "sources", "about"] {
        assert!(text.contains(&format!("name=\"{sheet}\"")), "no sheet {sheet}: {text}");
    }
    assert_eq!(read(), bytes, "equal answers give equal workbooks");
}

#[test]
fn the_overview_adds_up() {
    let (_dir, server, id) = flagship();
    let get = |query: &str| server.get(&format!("/v1/graphs/critical-minerals/overview{query}"));
    let whole = get("").ok(200);
    assert_eq!(whole["by"], "product", "12 954 elements are too many to draw one by one");
    for by in ["product", "country"] {
        let overview = get(&format!("?by={by}&impact={id}")).ok(200);
        let sum = |key: &str, of: &str| -> u64 {
            overview[key].as_array().unwrap().iter().map(|n| n[of].as_u64().unwrap()).sum()
        };
        assert_eq!(sum("nodes", "nodes"), overview["totals"]["nodes"].as_u64().unwrap());
        assert_eq!(sum("stages", "nodes"), overview["totals"]["nodes"].as_u64().unwrap());
        for node in overview["nodes"].as_array().unwrap() {
            let loss = node["loss"].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&loss), "{node}");
        }
        for flow in overview["flows"].as_array().unwrap() {
            for share in ["of_supply", "of_intake", "estimated"] {
                assert!((0.0..=1.0 + 1e-9).contains(&flow[share].as_f64().unwrap()), "{flow}");
            }
        }
    }
    // A product's mean loss is the loss of the target with the same nodes.
    let overview = get(&format!("?by=product&impact={id}")).ok(200);
    let group = |id: &str| -> Value {
        let nodes = overview["nodes"].as_array().unwrap();
        nodes.iter().find(|n| n["id"] == id).unwrap().clone()
    };
    let answer = server.get(&format!("/v1/impacts/{id}")).ok(200);
    for result in answer["results"].as_array().unwrap().iter().take(3) {
        let name = result["target"].as_str().unwrap();
        let drawn = group(&format!("{name}.industry"))["loss"].as_f64().unwrap();
        let loss = result["loss"]["value"].as_f64().unwrap();
        assert!((drawn - loss).abs() < 1e-9, "{name}: {drawn} and {loss}");
    }
    // All of a product's deliveries go somewhere.
    let everything = get("?by=node&limit=20000").ok(200);
    assert_eq!(everything["totals"]["left_out_flows"], 0);
    let mut supply: std::collections::BTreeMap<&str, f64> = Default::default();
    for flow in everything["flows"].as_array().unwrap() {
        *supply.entry(flow["from"].as_str().unwrap()).or_default() +=
            flow["of_supply"].as_f64().unwrap();
    }
    for (node, sum) in supply {
        assert!((sum - 1.0).abs() < 1e-9, "{node} delivers {sum}");
    }
    let fewer = get("?by=node&limit=2000").ok(200);
    let drawn = fewer["nodes"].as_array().unwrap().len() + fewer["flows"].as_array().unwrap().len();
    assert_eq!(drawn, 2000);
    let near = get("?by=node&product=gallium&stage=refine&neighbours=true").ok(200);
    assert!(near["nodes"].as_array().unwrap().len() > 4);

    // On a day of the clock the map shows what the timeline of the target says.
    let timeline = server.get(&format!("/v1/impacts/{id}/timeline?target=semiconductors")).ok(200);
    let path = &timeline["timeline"];
    for at in [0, 10, 20, 100] {
        // The last day of the step, to see that the step holds it.
        let day = path["days"][at].as_f64().unwrap() + 6.0;
        let map = get(&format!("?by=product&impact={id}&day={day}")).ok(200);
        let nodes = map["nodes"].as_array().unwrap();
        let drawn = nodes.iter().find(|n| n["id"] == "semiconductors.industry").unwrap();
        let (drawn, told) = (drawn["loss"].as_f64().unwrap(), &path["targets"][0]["loss"][at]);
        assert!((drawn - told.as_f64().unwrap()).abs() < 1e-12, "day {day}: {drawn}, {told}");
    }
    get("?day=3").problem(400, "invalid_parameter");
    get(&format!("?impact={id}&day=-1")).problem(400, "invalid_parameter");

    get("?by=planet").problem(400, "invalid_parameter");
    get("?limit=0").problem(400, "invalid_parameter");
    let problem = get("?product=galium").problem(422, "impossible");
    assert_eq!(problem["hint"], "did you mean gallium?");
    get("?stage=refinery").problem(422, "impossible");
    get(&format!("?impact={id}&at=7")).problem(400, "invalid_parameter");
}

/// Every quoted path of ours in a text.
fn paths(text: &str) -> Vec<String> {
    text.split(['"', '\''])
        .filter(|part| part.starts_with("/explore/") || part.starts_with("./"))
        .map(|part| part.replacen("./", "/explore/", 1))
        .collect()
}

#[test]
fn the_explorer_is_whole_and_comes_from_here() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    let page = server.get("/explore");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let mut open = paths(&page.text);
    let mut seen = std::collections::BTreeSet::new();
    let mut compressed = 0;
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = server.get(&path);
        assert_eq!(file.status, 200, "{path}");
        if path.contains("vendor") {
            let licence = server.get("/explore/vendor/cytoscape.LICENSE");
            assert!(licence.text.contains("Permission is hereby granted"));
        } else {
            open.extend(paths(&file.text));
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!file.text.contains(forbidden), "{path} uses {forbidden}");
            }
            for (at, _) in file.text.match_indices("://") {
                let around = &file.text[at.saturating_sub(6)..(at + 24).min(file.text.len())];
                assert!(around.contains("www.w3.org"), "{path} names {around}");
            }
        }
        compressed += server.bytes_with(&path, &[("accept-encoding", "gzip")]).len();
        let tag = file.header("etag").to_owned();
        assert_eq!(server.get_with(&path, &[("if-none-match", &tag)]).status, 304, "{path}");
    }
    assert!(seen.len() > 15, "{seen:?}");
    assert!(compressed < 400_000, "{compressed} bytes");
    server.get("/explore/nothing.js").problem(404, "no_such_path");
    server.get("/explore/../Cargo.toml").problem(404, "no_such_path");
}

#[test]
fn methods_and_the_tutorial_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    let list = server.get("/methods");
    harmless(&list);
    let links: Vec<&str> =
        list.text.split('"').filter(|part| part.starts_with("/methods/")).collect();
    assert!(links.len() >= 12, "{links:?}");
    for link in links {
        let page = server.get(link);
        harmless(&page);
        let ideas = ["Formula", "Steps", "What is drawn"];
        assert!(ideas.iter().any(|idea| page.text.contains(idea)), "{link} has no formula");
        assert!(page.text.contains("id=\"limits\""), "{link} states no limits");
    }
    let problem = server.get("/methods/impacts").problem(404, "no_such_path");
    assert_eq!(problem["hint"], "did you mean impact?");
    harmless(&server.get("/tutorial"));
    let llms = server.get("/llms.txt");
    assert!(llms.text.starts_with("# Chokepoint"));
    assert!(llms.header("content-type").starts_with("text/plain"));
}

/// Code blocks of the tutorial whose first line starts so.
fn block<'a>(text: &'a str, start: &str) -> &'a str {
    text.split("```")
        .skip(1)
        .step_by(2)
        .map(str::trim_start)
        .find(|b| b.starts_with(start))
        .unwrap()
}

#[test]
fn the_tutorial_does_what_it_says() {
    let text = std::fs::read_to_string("src/http/page/tutorial.md").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--no-seed"]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, start) in
        [("nodes.csv", "id,"), ("flows.csv", "from,"), ("requirements.csv", "output,")]
    {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, block(&text, start).as_bytes()).unwrap();
    }
    let tables = archive.finish().unwrap().into_inner();
    server.put("/v1/graphs/boards", &json!({"title": "Our boards"})).ok(201);
    let zip = [("content-type", "application/zip")];
    for query in ["?dry_run=true", ""] {
        let path = format!("/v1/graphs/boards/imports{query}");
        let imported = server.send("POST", &path, &zip, &tables).ok(200);
        assert_eq!((&imported["nodes"], &imported["flows"]), (&json!(5), &json!(5)), "{imported}");
    }
    let asked = json!({"shocks": [{"select": {"node": "tin.refine.CHN"}}],
        "targets": [{"name": "boards", "select": {"product": "boards"}}]});
    let answer = server.post("/v1/graphs/boards/impacts", &asked).ok(200);
    // 72 % of the tin, of which solder depends to 0.9.
    let loss = answer["results"][0]["loss"]["value"].as_f64().unwrap();
    assert!((loss - 0.72 * 0.9).abs() < 1e-12, "{loss}");
    assert!(text.contains("so 72 % is lost"));
}
