//! Every format: what is exported is what is imported, and bad input gets a place and a reason.

use std::io::{Cursor, Write};
use std::sync::Arc;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::country::Country;
use crate::model::record::Attributes;
use crate::model::{
    Countries, Figure, FigureClass, FlowRecord, Network, NetworkBuilder, NodeRecord, Record,
    RequirementRecord, Rule,
};

const WHOLE: [Format; 5] =
    [Format::Ndjson, Format::CsvZip, Format::GraphMl, Format::NodeLink, Format::Neo4jZip];

fn countries() -> Arc<Countries> {
    let country = |code: &str, name: &str| Country {
        code: code.into(),
        name: name.into(),
        region: String::new(),
        blocs: Vec::new(),
        governance: None,
        source: String::new(),
    };
    Arc::new([country("CHN", "China"), country("WLD", "World")].into_iter().collect())
}

fn options() -> ImportOptions {
    ImportOptions::new(countries())
}

type Imported = Result<(Option<Network>, ImportReport), ImportError>;

fn import_with(format: Format, bytes: &[u8], options: ImportOptions, piece: usize) -> Imported {
    let mut importer = Importer::new(format, options)?;
    for chunk in bytes.chunks(piece.max(1)) {
        importer.feed(chunk)?;
    }
    importer.finish()
}

fn import(format: Format, bytes: &[u8]) -> Imported {
    import_with(format, bytes, options(), usize::MAX)
}

/// The problems of a file that can be read.
fn problems(format: Format, text: &str) -> Vec<RowProblem> {
    import(format, text.as_bytes()).unwrap().1.problems
}

/// The problem of a file that cannot be read.
fn refusal(format: Format, bytes: &[u8]) -> String {
    import(format, bytes).unwrap_err().to_string()
}

fn export(format: Format, network: &Network) -> Vec<u8> {
    Exporter::new(format, network, Some("A <title> & \"more\"")).collect::<Vec<_>>().concat()
}

fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
}

fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

// --- networks with hostile names ---------------------------------------------------------------

fn name() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "=1+1",
        "'=1",
        "''@x",
        "-2",
        "+x",
        "@sum",
        "a,b",
        "\"q\"",
        "'",
        "x'y",
        " lead",
        "trail ",
        "<a&b>",
        "&amp;",
        "]]>",
        "שלום",
        "\u{202E}rtl",
        "日本",
        "e\u{301}",
        "\u{2028}",
        "\\n",
        "null",
        "NaN",
        "1e5",
        "true",
        "{}",
        "id",
        "a;b",
        "a:ID",
        "a\u{A0}",
        "\u{FEFF}bom",
        "𝔘",
    ]);
    let letters = vec(prop::sample::select(vec!['a', 'b', '.', '"', ',', '\'', 'é', ' ']), 1..6);
    prop_oneof![
        3 => nasty.prop_map(str::to_owned),
        3 => "[a-z]{1,4}",
        2 => letters.prop_map(|l| l.into_iter().collect::<String>().replace("..", ".")),
        1 => Just("n".repeat(512)),
        2 => "\\PC{1,8}".prop_map(|s| s.replace("..", "").replace(['\u{FFFE}', '\u{FFFF}'], "") + "z"),
    ]
    .prop_filter("no line of blanks, no flow separator", |s| !s.contains("..") && s.len() <= 512)
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        0.0..1e6,
        Just(0.0),
        Just(5e-324),
        Just(f64::MAX),
        Just(0.1 + 0.2),
        Just(1e16),
        (0u32..1000).prop_map(f64::from)
    ]
}

fn class() -> impl Strategy<Value = Option<FigureClass>> {
    option::of(prop::sample::select(FigureClass::ALL.to_vec()))
}

fn figure() -> impl Strategy<Value = Figure> {
    let range = (option::of(0.0..=1.0f64), option::of(1.0..2.0f64));
    (number(), range, option::of(name()), option::of(any::<i32>()), class(), option::of(name()))
        .prop_map(|(value, (low, high), unit, year, class, source)| Figure {
            value,
            low: low.map(|l| value * l),
            high: high.map(|h| (value * h).min(f64::MAX)),
            unit,
            year,
            class,
            source,
        })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let plain = prop_oneof![
        "\\PC{0,6}".prop_map(Value::from),
        Just(Value::from("line\nbreak\t\u{1}\u{FFFE}\r")),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
    ];
    let value = prop_oneof![plain.clone(), vec(plain, 0..3).prop_map(Value::from)];
    btree_map(name(), value, 0..3)
}

fn network() -> impl Strategy<Value = Vec<Record>> {
    let node = (
        (option::of(name()), option::of(name())),
        option::of(prop::sample::select(vec!["CHN", "WLD", "JPN"])),
        (option::of(figure()), option::of(figure()), option::of(figure())),
        attributes(),
    )
        .boxed();
    let nodes = btree_set(name(), 1..6).prop_flat_map(move |ids| {
        let count = ids.len();
        (Just(ids.into_iter().collect::<Vec<_>>()), vec(node.clone(), count))
    });
    let flow = (
        (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            option::of(Just("p".to_owned())),
        ),
        prop_oneof![figure(), Just(Figure::bare(1.0))],
        (option::of(number()), any::<bool>(), option::of(number())),
        attributes(),
    );
    let rule = prop_oneof![
        option::of((0.0..=1.0f64).prop_map(Figure::bare)).prop_map(|d| (Rule::Limiting, d, None)),
        Just((Rule::Additive, None, None)),
        Just((Rule::None, None, None)),
        (0.0..=1.0f64).prop_map(|s| (Rule::Threshold, None, Some(s))),
    ];
    let requirement = (name(), name(), rule, option::of(figure()));
    (nodes, vec(flow, 0..6), vec(requirement, 0..4)).prop_map(|((ids, nodes), flows, needs)| {
        let mut records = Vec::new();
        for (id, ((stage, product), country, figures, attributes)) in ids.iter().zip(nodes) {
            let (output, capacity, stock_days) = figures;
            let country = country.map(str::to_owned);
            let id = id.clone();
            records.push(Record::Node(NodeRecord {
                id,
                stage,
                product,
                country,
                output,
                capacity,
                stock_days,
                attributes,
            }));
        }
        for ((from, to, product), q, (capacity, joint, lead_days), attributes) in flows {
            records.push(Record::Flow(FlowRecord {
                product,
                capacity,
                joint,
                lead_days,
                attributes,
                unit: q.unit,
                class: q.class,
                source: q.source,
                year: q.year,
                low: q.low,
                high: q.high,
                ..FlowRecord::new(from.get(&ids).as_str(), to.get(&ids).as_str(), q.value)
            }));
        }
        let mut pairs = std::collections::BTreeSet::new();
        for (output, input, (rule, dependence, min_share), intensity) in needs {
            if pairs.insert((output.clone(), input.clone())) {
                records.push(Record::Requirement(RequirementRecord {
                    output,
                    input,
                    rule,
                    dependence,
                    min_share,
                    intensity,
                }));
            }
        }
        records
    })
}

fn build(records: &[Record]) -> Network {
    let mut builder = NetworkBuilder::new();
    for (row, record) in records.iter().enumerate() {
        record.check().unwrap();
        builder.add(record, row).unwrap();
    }
    builder.finish().unwrap()
}

proptest! {
    #![proptest_config(crate::laws::cases(128))]

    #[test]
    fn what_is_exported_is_what_is_imported(records in network(), piece in 1usize..300) {
        let network = build(&records);
        // Sums of equal flows may overflow; such a network has no file form.
        prop_assume!(network.records().all(|r| r.check().is_ok()));
        for format in WHOLE {
            let bytes = export(format, &network);
            let (again, report) = import_with(format, &bytes, options(), piece).unwrap();
            prop_assert_eq!(&report.problems, &Vec::new(), "{:?}", format);
            let again = again.unwrap();
            prop_assert_eq!(lines(&again), lines(&network), "{:?}", format);
            prop_assert_eq!(export(format, &again), bytes);
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter(records in network(), seed in any::<u64>()) {
        let network = build(&records);
        prop_assume!(network.records().all(|r| r.check().is_ok()));
        // Not the network's own rows, in which flows of equal keys are one already.
        let mut rows: Vec<String> =
            records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
        let mut state = seed | 1;
        for i in (1..rows.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            rows.swap(i, (state >> 33) as usize % (i + 1));
        }
        let (again, _) = import(Format::Ndjson, rows.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(lines(&again.unwrap()), lines(&network));
    }

    #[test]
    fn single_tables_merge_to_the_same_network(records in network()) {
        let network = build(&records);
        prop_assume!(network.records().all(|r| r.check().is_ok()));
        let mut merged = Network::default();
        for kind in Kind::ALL {
            let table = Exporter::table(kind, &network).collect::<Vec<_>>().concat();
            let mut importer = Importer::new(Format::Csv, options()).unwrap();
            importer.feed(&table).unwrap();
            let (changes, report) = importer.finish_changes(&merged).unwrap();
            prop_assert_eq!(&report.problems, &Vec::new());
            merged = merged.apply(&changes.unwrap()).unwrap();
        }
        prop_assert_eq!(lines(&merged), lines(&network));
    }

    #[test]
    fn random_bytes_are_refused_without_panic(
        bytes in vec(any::<u8>(), 0..400), piece in 1usize..50,
    ) {
        for format in Format::ALL {
            let _ = import_with(format, &bytes, options(), piece);
        }
    }

    #[test]
    fn damaged_files_are_refused_without_panic(
        records in network(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let network = build(&records);
        for format in WHOLE {
            let mut bytes = export(format, &network);
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let _ = import(format, &bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = import(format, &bytes);
        }
    }
}

// --- ndjson ------------------------------------------------------------------------------------

#[test]
fn every_bad_line_is_reported_with_line_and_field() {
    let cases = [
        (r#"{"id":"a"}"#, "type", "type is missing"),
        (r#"{"type":"nod","id":"a"}"#, "type", "did you mean node"),
        (r#"{"type":"node"}"#, "id", "needs id"),
        (r#"{"type":"node","id":""}"#, "id", "empty"),
        (r#"{"type":"node","id":"a..b"}"#, "id", ".."),
        (r#"{"type":"node","id":"a\u0000"}"#, "id", "control"),
        (r#"{"type":"node","id":7}"#, "id", "must be text"),
        (r#"{"type":"node","id":"a","outptu":1}"#, "outptu", "did you mean output"),
        (r#"{"type":"node","id":"a","from":"b"}"#, "from", "a node has no field from"),
        (r#"{"type":"node","id":"a","id":"b"}"#, "id", "twice"),
        (r#"{"type":"node","id":"a","output":-1}"#, "output", "negative"),
        (r#"{"type":"node","id":"a","output":"x"}"#, "output", "number"),
        (r#"{"type":"node","id":"a","output":{"value":1,"low":2}}"#, "output", "low"),
        (r#"{"type":"node","id":"a","output":{"value":1,"lo":2}}"#, "output", "unknown field"),
        (r#"{"type":"node","id":"a","country":"Atlantis"}"#, "country", "unknown country"),
        (r#"{"type":"node","id":"a","attributes":{"x":{}}}"#, "attribute", "must be text"),
        (r#"{"type":"flow","from":"z","quantity":1}"#, "to", "needs to"),
        (r#"{"type":"flow","from":"z","to":"z","quantity":1e999}"#, "quantity", "finite"),
        (r#"{"type":"flow","from":"z","to":"z","quantity":NaN}"#, "quantity", "NaN"),
        (r#"{"type":"flow","from":"z","to":"z","quantity":-Infinity}"#, "quantity", "JSON"),
        (r#"{"type":"flow","from":"z","to":"z","quantity":null}"#, "quantity", "must not be null"),
        (r#"{"type":"flow","from":"z","to":"z","joint":"yes"}"#, "joint", "boolean"),
        (r#"{"type":"flow","from":"z","to":"z","class":"best"}"#, "class", "measured"),
        (
            r#"{"type":"requirement","output":"a","input":"b","dependence":2}"#,
            "dependence",
            "0 and 1",
        ),
        (
            r#"{"type":"requirement","output":"a","input":"b","rule":"threshold"}"#,
            "the",
            "min_share",
        ),
        (r#"{"type":"requirement","output":1,"input":"b"}"#, "output", "text"),
        (r#"[1,2]"#, "", "JSON object"),
        (r#"{"type":"node","id":"a"} x"#, "", "trailing"),
        ("{\"type\":\"node\",\"id\":\"a\0\"}", "id", "NUL"),
        ("{\"type\":\"node\",\"id\":\"a", "id", "middle of a record"),
    ];
    for (line, column, problem) in cases {
        let text = format!("{{\"type\":\"node\",\"id\":\"z\"}}\r\n\r\n{line}\n{line}");
        let found = problems(Format::Ndjson, &text);
        assert_eq!(found.len(), 2, "{line}: {found:?}");
        assert_eq!((found[0].line, found[1].line), (3, 4), "{line}");
        assert!(found[0].to_string().contains(problem), "{line}: {}", found[0]);
        assert_eq!(found[0].column.as_deref().unwrap_or(""), column, "{line}: {}", found[0]);
    }
}

#[test]
fn a_file_may_begin_with_a_mark_and_end_without_a_break() {
    let text = "\u{FEFF}{\"type\":\"node\",\"id\":\"a\",\"country\":\"cn\"}\r\n\n  \n\
                {\"type\":\"node\",\"id\":\"b\",\"country\":\"China\"}";
    for piece in [1, 2, 7, 1000] {
        let (network, report) =
            import_with(Format::Ndjson, text.as_bytes(), options(), piece).unwrap();
        assert_eq!(report.nodes, 2);
        let network = network.unwrap();
        assert_eq!(network.node_record(0).country.as_deref(), Some("CHN"));
        assert_eq!(network.node_record(1).country.as_deref(), Some("CHN"));
    }
}

#[test]
fn bytes_that_are_not_utf8_and_endless_lines_do_not_end_the_import() {
    let mut bytes = b"{\"type\":\"node\",\"id\":\"a\xFF\"}\n".to_vec();
    bytes.extend(vec![b'x'; 5 << 20]);
    bytes.extend(b"\n{\"type\":\"node\",\"id\":\"b\"}\n");
    let skip = ImportOptions { skip_bad_rows: true, ..options() };
    for piece in [1000, 70_000, usize::MAX] {
        let (network, report) = import_with(Format::Ndjson, &bytes, skip.clone(), piece).unwrap();
        assert_eq!(network.unwrap().node_count(), 1);
        assert_eq!((report.skipped, report.problem_count), (2, 2));
        assert_eq!((report.problems[0].line, report.problems[0].position), (1, Some(23)));
        assert_eq!(report.problems[1].line, 2);
        assert!(report.problems[1].problem.contains("longer than"));
    }
}

#[test]
fn deep_nesting_is_refused_in_every_format() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let open = "{\"a\":".repeat(10_000);
    for text in [
        deep.clone(),
        open.clone(),
        format!("{{\"type\":\"node\",\"id\":\"a\",\"x\":{deep}}}"),
        format!("{{\"type\":\"node\",\"id\":\"a\",\"attributes\":{{\"x\":{deep}}}}}"),
        format!("{{\"type\":\"node\",\"id\":\"a\",\"output\":{deep}}}"),
    ] {
        assert_eq!(problems(Format::Ndjson, &text).len(), 1);
        let whole = format!("{{\"directed\":true,\"nodes\":[{text}],\"links\":[]}}");
        let outcome = import(Format::NodeLink, whole.as_bytes());
        assert!(outcome.is_err() || outcome.unwrap().1.problem_count == 1);
        assert!(import(Format::NodeLink, text.as_bytes()).is_err());
    }
    let xml = "<graphml><graph><node id=\"a\">".to_owned() + &"<x>".repeat(10_000);
    assert!(refusal(Format::GraphMl, xml.as_bytes()).contains("nested deeper"));
    let csv = format!("id,attributes\na,\"{{\"\"x\"\":{deep}}}\"\n");
    assert_eq!(problems(Format::Csv, &csv)[0].column.as_deref(), Some("attributes"));
}

#[test]
fn a_node_given_twice_names_both_lines() {
    let text = "{\"type\":\"node\",\"id\":\"a\"}\n\n{\"type\":\"node\",\"id\":\"a\"}\n";
    let found = problems(Format::Ndjson, text);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 3);
    assert!(found[0].problem.contains("node a is already in line 1"));
}

#[test]
fn a_flow_to_nowhere_names_both_ends() {
    let text = "{\"type\":\"flow\",\"from\":\"a\",\"to\":\"no node x; y\"}\n\
                {\"type\":\"node\",\"id\":\"a\"}\n\
                {\"type\":\"flow\",\"from\":\"c\",\"to\":\"a\"}\n\
                {\"type\":\"flow\",\"from\":\"a\",\"to\":\"a\"}\n";
    let found = problems(Format::Ndjson, text);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[0].column.as_deref()), (1, Some("to")));
    assert!(found[0].problem.contains("flow a..no node x; y: there is no node no node x; y"));
    assert_eq!((found[1].line, found[1].column.as_deref()), (3, Some("from")));
    let skip = ImportOptions { skip_bad_rows: true, max_problems: 1, ..options() };
    let (network, report) = import_with(Format::Ndjson, text.as_bytes(), skip, usize::MAX).unwrap();
    let network = network.unwrap();
    assert_eq!((network.node_count(), network.flow_count()), (1, 1));
    assert_eq!((report.skipped, report.problem_count, report.problems.len()), (2, 2, 1));
    assert_eq!((report.nodes, report.flows), (1, 1));
}

#[test]
fn a_merge_may_point_at_nodes_that_are_there() {
    let base = build(&[
        Record::Node(NodeRecord { product: Some("p".into()), ..NodeRecord::new("a") }),
        Record::Node(NodeRecord::new("b")),
        Record::Flow(FlowRecord::new("a", "b", 1.0)),
    ]);
    let merge = |text: &str| {
        let mut importer = Importer::new(Format::Ndjson, options()).unwrap();
        importer.feed(text.as_bytes()).unwrap();
        importer.finish_changes(&base).unwrap()
    };
    let (changes, report) = merge(
        "{\"type\":\"flow\",\"from\":\"a\",\"to\":\"b\",\"quantity\":2}\n\
         {\"type\":\"flow\",\"from\":\"a\",\"to\":\"b\",\"quantity\":3}\n\
         {\"type\":\"node\",\"id\":\"c\"}\n{\"type\":\"flow\",\"from\":\"c\",\"to\":\"a\"}\n",
    );
    assert_eq!((report.nodes, report.flows), (1, 3));
    let merged = base.apply(&changes.unwrap()).unwrap();
    assert_eq!((merged.node_count(), merged.flow_count()), (3, 2));
    assert_eq!(merged.flow_record(0).quantity.value, 5.0);
    assert_eq!(merged.node_record(0), base.node_record(0));
    let (changes, report) = merge("\n{\"type\":\"flow\",\"from\":\"a\",\"to\":\"zz\"}");
    assert!(changes.is_none());
    assert_eq!(report.problems[0].line, 2);
}

#[test]
fn a_limit_on_records_ends_the_import() {
    let mut small = options();
    small.limits.records = 2;
    let text = "{\"type\":\"requirement\",\"output\":\"a\",\"input\":\"b\"}\n\
                {\"type\":\"node\",\"id\":\"b\"}\n{\"type\":\"node\",\"id\":\"c\"}\n";
    let error = import_with(Format::Ndjson, text.as_bytes(), small, usize::MAX).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge(_)));
}

// --- csv and archives --------------------------------------------------------------------------

#[test]
fn a_table_is_known_by_its_header() {
    let (network, report) = import(Format::Csv, b"country,id,output\r\nChina,a,5\r\n").unwrap();
    assert_eq!(report.nodes, 1);
    assert_eq!(network.unwrap().node_record(0).output, Some(Figure::bare(5.0)));
    let (_, report) = import(Format::Csv, b"\xEF\xBB\xBF\nto,from\nb,a\n").unwrap();
    assert_eq!(report.problems[0].line, 3);
    let (_, report) = import(Format::Csv, b"output,input,rule\nx,y,additive\n").unwrap();
    assert_eq!(report.requirements, 1);
    for (text, problem) in [
        ("", "empty"),
        ("a,b\n1,2\n", "no known table"),
        ("id,contry\na,CHN\n", "did you mean country"),
        ("id,id\na,b\n", "twice"),
    ] {
        let found = refusal(Format::Csv, text.as_bytes());
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn bad_cells_are_reported_with_line_and_column() {
    let header = "id,stage,country,output,output_year,output_class,attributes";
    for (row, column, problem) in [
        ("a,,,inf,,,", "output", "finite"),
        ("a,,,1e999,,,", "output", "finite"),
        ("a,,,nan,,,", "output", "finite"),
        ("a,,,-4,,,", "output", "negative"),
        ("a,,,\"1,5\",,,", "output", "decimal point"),
        ("a,,,,2020,,", "output_year", "without output"),
        ("a,,,1,20.5,,", "output_year", "whole"),
        ("a,,,1,,guess,", "output_class", "measured"),
        ("a,,,,,,[1]", "attributes", "JSON object"),
        (",x,,,,,", "id", "needs id"),
        ("a,,Atlantis,,,,", "country", "unknown country"),
        ("a,b", "", "2 cells"),
        ("a\"b\",,,,,,", "", "do not match"),
        ("\"a\"b,,,,,,", "", "do not match"),
    ] {
        let text = format!("{header}\nz,,,,,,\"{{\"\"x\"\":\n1}}\"\n{row}\n");
        let found = problems(Format::Csv, &text);
        let last = found.last().unwrap_or_else(|| panic!("{row} was taken"));
        if !column.is_empty() {
            assert_eq!(last.column.as_deref(), Some(column), "{last}");
        }
        assert_eq!(last.line, 4, "{row}: {last}");
        assert!(last.to_string().contains(problem), "{row}: {last}");
    }
    let found = problems(Format::Csv, "id,stage\na,b\nb,\"open\nc,d\n");
    assert_eq!(found[0].line, 3);
    assert!(found[0].to_string().contains("never closed"));
}

#[test]
fn formulas_are_marked_and_the_mark_is_taken_off_again() {
    let network = build(&[Record::Node(NodeRecord::new("=cmd|' /C calc'!A0"))]);
    let table = String::from_utf8(export(Format::Csv, &network)).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("'=cmd"), "{table}");
    let (again, _) = import(Format::Csv, table.as_bytes()).unwrap();
    assert_eq!(again.unwrap().node_id(0), "=cmd|' /C calc'!A0");
    let network = build(&[Record::Node(NodeRecord {
        output: Some(Figure::bare(1.5)),
        ..NodeRecord::new("'x")
    })]);
    let table = String::from_utf8(export(Format::Csv, &network)).unwrap();
    assert!(table.contains("\n'x,,,,1.5,"), "{table}");
}

#[test]
fn archives_name_the_table_of_a_bad_row() {
    let archive = zip(&[("flows.csv", "from,to\na,b\n"), ("nodes.csv", "id\na\n\na\n")]);
    let (network, report) = import(Format::CsvZip, &archive).unwrap();
    assert!(network.is_none());
    let places: Vec<_> =
        report.problems.iter().map(|p| (p.file.as_deref().unwrap(), p.line)).collect();
    assert_eq!(places, [("nodes.csv", 4), ("flows.csv", 2)]);
}

#[test]
fn archives_that_are_not_ours_are_refused() {
    for (name, problem) in [
        ("../nodes.csv", "top of the archive"),
        ("/nodes.csv", "top of the archive"),
        ("tables/nodes.csv", "top of the archive"),
        ("..\\nodes.csv", "top of the archive"),
        ("node.csv", "did you mean nodes.csv"),
        ("readme.txt", "entries:"),
    ] {
        let found = refusal(Format::CsvZip, &zip(&[(name, "id\na\n")]));
        assert!(found.contains(problem), "{name}: {found}");
    }
    assert!(refusal(Format::CsvZip, b"not an archive").contains("zip archive"));
    assert!(refusal(Format::CsvZip, &zip(&[])).contains("empty"));
    // Two entries of one name: written under names of equal length, then renamed.
    let mut twice = zip(&[("nodes.csv", "id\na\n"), ("flows.csv", "id\nb\n")]);
    while let Some(at) = twice.windows(9).position(|w| w == b"flows.csv") {
        twice[at..at + 9].copy_from_slice(b"nodes.csv");
    }
    assert!(refusal(Format::CsvZip, &twice).contains("same name"));
    let many: Vec<(String, &str)> = (0..40).map(|i| (format!("{i}.csv"), "")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, t)| (n.as_str(), *t)).collect();
    assert!(refusal(Format::CsvZip, &zip(&many)).contains("at most 16"));
    let mut cut = zip(&[("nodes.csv", "id\na\n")]);
    cut.truncate(cut.len() - 30);
    assert!(refusal(Format::CsvZip, &cut).contains("cut off"));
}

#[test]
fn archives_that_grow_without_measure_are_refused() {
    let bomb = zip(&[("nodes.csv", &("id\n".to_owned() + &"\n".repeat(20 << 20)))]);
    assert!(bomb.len() < 100 << 10);
    assert!(refusal(Format::CsvZip, &bomb).contains("grows more than"));
    let mut small = options();
    small.limits.zip_bytes = 1000;
    let archive = zip(&[("nodes.csv", &("id\n".to_owned() + &"\n".repeat(2000)))]);
    let error = import_with(Format::CsvZip, &archive, small, usize::MAX).unwrap_err();
    assert!(error.to_string().contains("unpacks to more"));
}

#[test]
fn neo4j_archives_have_its_headers() {
    let network = build(&[
        Record::Node(NodeRecord::new("a")),
        Record::Flow(FlowRecord::new("a", "a", 2.0)),
        Record::Requirement(RequirementRecord {
            output: "a".into(),
            input: "b".into(),
            ..RequirementRecord::default()
        }),
    ]);
    let bytes = export(Format::Neo4jZip, &network);
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut text = |name: &str| std::io::read_to_string(archive.by_name(name).unwrap()).unwrap();
    assert!(text("nodes.csv").starts_with(":LABEL,id:ID,stage,product,country,output:double,"));
    assert!(
        text("relationships.csv").starts_with(":TYPE,:START_ID,:END_ID,product,quantity:double")
    );
    assert!(text("relationships.csv").contains("\nSUPPLIES,a,a,"));
    assert_eq!(text("products.csv"), "product:ID(Product),:LABEL\na,Product\nb,Product\n");
    assert!(text("requirements.csv").contains("\nREQUIRES,a,b,limiting,"));
}

// --- graphml and node-link ---------------------------------------------------------------------

#[test]
fn graphml_of_other_tools_is_read() {
    let text = r#"<?xml version='1.0' encoding='utf-8'?>
<!-- by another tool -->
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <key id="d0" for="edge" attr.name="weight" attr.type="double"/>
  <key id="d1" for="node" attr.name="colour" attr.type="string"/>
  <key id="d2" for="node" attr.name="rank" attr.type="int"/>
  <key id="d3" for="node" yfiles.type="nodegraphics"/>
  <graph edgedefault="directed">
    <node id="a &amp; b"><data key="d1">r&lt;d &#65;<![CDATA[<x>]]></data><data key="d2">3</data>
      <data key="d3"><y:ShapeNode><y:Fill color="red"/>text</y:ShapeNode></data></node>
    <node id="c"/>
    <edge id="e0" source="a &amp; b" target="c"><data key="d0">2.5</data></edge>
  </graph>
</graphml>"#;
    let (network, report) = import(Format::GraphMl, text.as_bytes()).unwrap();
    assert_eq!(report.problems, []);
    let network = network.unwrap();
    let node = network.node_record(0);
    assert_eq!(node.id, "a & b");
    assert_eq!(node.attributes["colour"], Value::from("r<d A<x>"));
    assert_eq!(node.attributes["rank"], Value::from(3));
    assert_eq!(network.flow_record(0).quantity.value, 2.5);
}

#[test]
fn graphml_that_is_not_plain_is_refused() {
    let bomb = "<!DOCTYPE g [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><graphml/>";
    assert!(refusal(Format::GraphMl, bomb.as_bytes()).contains("document types"));
    for (text, problem) in [
        ("", "no <graph>"),
        ("<html/>", "GraphML"),
        ("<graphml><graph edgedefault=\"undirected\"/></graphml>", "undirected"),
        ("<graphml><graph><node id=\"a\"></graph></graphml>", "well-formed"),
        ("<graphml><graph>", "never closed"),
        ("<graphml><graph><node id=\"&x;\"/></graph></graphml>", "cannot be read"),
        ("<graphml><graph><data key=\"title\">&x;</data></graph></graphml>", "not defined"),
        ("<graphml><graph/><graph/></graphml>", "second graph"),
        ("<graphml><graph><hyperedge/></graph></graphml>", "hyperedge"),
    ] {
        let found = refusal(Format::GraphMl, text.as_bytes());
        assert!(found.contains(problem), "{text}: {found}");
    }
    let huge = format!("<graphml><graph><node id=\"{}\"/></graph></graphml>", "x".repeat(3 << 20));
    assert!(refusal(Format::GraphMl, huge.as_bytes()).contains("longer than"));
}

#[test]
fn graphml_rows_are_reported_with_their_lines() {
    let text = "<graphml><graph>\n<node id=\"a\"/>\n<node/>\n<edge source=\"a\"\n target=\"a\">\n\
                <data key=\"quantity\">-1</data></edge>\n<edge source=\"a\" target=\"b\"/>\n\
                <edge source=\"a\" target=\"a\" directed=\"false\"/>\n</graph></graphml>";
    let found = problems(Format::GraphMl, text);
    let places: Vec<_> = found.iter().map(|p| (p.line, p.column.as_deref().unwrap())).collect();
    assert_eq!(places, [(3, "id"), (4, "quantity"), (8, "directed"), (7, "to")]);
}

#[test]
fn node_link_of_networkx_is_read() {
    let text = r#"{"directed": true, "multigraph": false, "graph": {"name": "t", "made": [1]},
        "nodes": [{"colour": "red", "id": 1, "source": "x"}, {"id": "b"}],
        "edges": [{"weight": 2, "source": 1, "target": "b", "key": 0, "rank": 7}]}"#;
    let (network, report) = import(Format::NodeLink, text.as_bytes()).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.title.as_deref(), Some("t"));
    let network = network.unwrap();
    assert_eq!(network.node_record(0).attributes["source"], Value::from("x"));
    let flow = network.flow_record(0);
    assert_eq!((flow.from.as_str(), flow.quantity.value), ("1", 2.0));
    assert_eq!(flow.attributes["rank"], Value::from(7));
}

#[test]
fn node_link_rows_are_reported_with_their_lines() {
    let text = "{\"nodes\":[\n{\"id\":\"a\"},\n7,\n{\"id\":\"a\"}],\n\"links\":[\n\
                {\"source\":\"a\",\n\"target\":\"a\",\"quantity\":-1},\n{\"source\":\"a\",\"target\":\"b\"}]}";
    let lines: Vec<u64> = problems(Format::NodeLink, text).iter().map(|p| p.line).collect();
    assert_eq!(lines, [3, 4, 6, 8]);
    for (text, problem) in [
        ("", "cut off"),
        ("[]", "node-link"),
        ("{\"nodes\":[]}", "links is missing"),
        ("{\"nodes\":[],\"links\":[],\"edges\":[]}", "twice"),
        ("{\"directed\":false,\"nodes\":[],\"links\":[]}", "undirected"),
        ("{\"noodes\":[]}", "did you mean nodes"),
        ("{\"nodes\":[{\"id\":NaN}],\"links\":[]}", "NaN"),
        ("{\"nodes\":[],\"links\":[]} x", "trailing"),
    ] {
        let found = refusal(Format::NodeLink, text.as_bytes());
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn formats_are_known_by_type_and_name() {
    for format in Format::ALL {
        assert_eq!(Format::from_extension(format.extension()), Some(format));
        assert_eq!(
            Format::from_extension(&format!("my.graph.{}", format.extension())),
            Some(format)
        );
        if format != Format::Neo4jZip {
            assert_eq!(Format::from_content_type(format.content_type()), Some(format));
        }
    }
    assert_eq!(Format::from_extension("x.tar"), None);
    assert_eq!(Format::from_content_type("image/png"), None);
}

#[test]
fn chunks_are_of_bounded_size() {
    let records: Vec<Record> =
        (0..20_000).map(|i| Record::Node(NodeRecord::new(format!("node {i}")))).collect();
    let network = build(&records);
    for format in WHOLE {
        let sizes: Vec<usize> =
            Exporter::new(format, &network, None).map(|chunk| chunk.len()).collect();
        assert!(sizes.iter().all(|&s| s > 0 && s < 256 << 10), "{format:?}: {sizes:?}");
    }
}
