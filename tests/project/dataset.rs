//! Reference tables, presets and registers: bad rows are named, good ones are whole.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use chokepoint::dataset::presets;
use chokepoint::dataset::registers;
use chokepoint::dataset::synthesis::critical_minerals;
use chokepoint::dataset::tables::{Tables, TablesError};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::Response;

fn original(file: &str) -> String {
    let path = format!("{}/graph-data/tables/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// Problems of the tables with `file` changed by `edit`, as they are printed.
fn problems(file: &str, edit: impl Fn(&str) -> String) -> Vec<String> {
    let result = Tables::read(|name| {
        let text = original(name);
        Ok(if name == file { edit(&text) } else { text }.into_bytes())
    });
    match result {
        Err(TablesError::Rows { problems }) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

/// Replaces the first line that holds `find`; gives the line number too.
fn edit(file: &str, find: &str, replace: &str) -> (u64, String) {
    let text = original(file);
    let line = text.lines().position(|l| l.contains(find)).unwrap();
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, l)| if i == line { l.replacen(find, replace, 1) } else { l.to_owned() })
        .collect();
    (line as u64 + 1, lines.join("\n") + "\n")
}

#[test]
fn a_bad_row_of_every_kind_is_named_by_file_line_and_column() {
    let cases = [
        (
            "production.csv",
            "gallium,refine,CHN,2025,900000",
            "gallium,refine,CHN,2025,-5",
            "quantity",
            "below 0",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025,900000",
            "gallium,refine,CHN,2025,9e5x",
            "quantity",
            "not a number",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025,900000",
            "gallium,refine,CHN,2025,NaN",
            "quantity",
            "not a finite number",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025,900000",
            "gallium,refine,CHN,2025,1000",
            "share",
            "does not agree",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025",
            "gallium,refine,CHM,2025",
            "country",
            "did you mean CH",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025",
            "gallium,refined,CHN,2025",
            "stage",
            "not one of",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025",
            "Gallium,refine,CHN,2025",
            "material",
            "snake_case",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025",
            "gallium,refine,CHN,25",
            "year",
            "outside 1900",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025",
            "gallium,refine,CHN,2024",
            "year",
            "differs from",
        ),
        (
            "production.csv",
            "gallium,refine,RUS,2025",
            "gallium,refine,CHN,2025",
            "(row)",
            "repeats the key",
        ),
        (
            "production.csv",
            "gallium,refine,CHN,2025,900000,kg,0.9901",
            "gallium,refine,CHN,2025,900000,kg,1.9901",
            "share",
            "outside 0 to 1",
        ),
        (
            "production.csv",
            "silicon_metal,refine,CHN,2025",
            "silicon_metal,refine,WLD,2025",
            "country",
            "twice",
        ),
        (
            "production.csv",
            "semiconductors,industry,TWN",
            "semiconductors,industry,DEU",
            "country",
            "counted in EUU",
        ),
        ("uses.csv", ",partly,", ",perhaps,", "essential", "not one of"),
        (
            "bill_of_materials.csv",
            "aerospace,helium,",
            "aerospace,helum,",
            "input",
            "use_shares.csv has no row",
        ),
        ("bill_of_materials.csv", ",important,", ",vital,", "essentiality", "not one of"),
        (
            "use_shares.csv",
            "antimony,ammunition,use,0.05",
            "antimony,ammunition,use,0.5",
            "use_share",
            "sum to 1.45",
        ),
        (
            "use_shares.csv",
            "antimony,ammunition,use,0.05",
            "antimony,ammunition,use,",
            "use_share",
            "needs a share",
        ),
        (
            "use_shares.csv",
            "alumina,gallium,joint,,",
            "alumina,gallium,joint,0.1,",
            "use_share",
            "must be empty",
        ),
        (
            "trade.csv",
            "CHN,RUS,antimony,mine,0.3",
            "CHN,RUS,antimony,mine,0.9",
            "share_or_quantity",
            "sum to 1.6",
        ),
        ("trade.csv", "CHN,RUS,antimony", "CHN,CHN,antimony", "exporter", "importer itself"),
        ("trade.csv", "CHN,RUS,antimony", "CHN,RUS,antimonie", "material", "did you mean antimony"),
        (
            "stockpiles.csv",
            "JPN-JOGMEC,antimony",
            "JAP-JOGMEC,antimony",
            "holder",
            "unknown country",
        ),
        ("policies.csv", "2010-07-08,CHN", "2010-13-08,CHN", "date", "not a date"),
        ("policies.csv", "2010-07-08,CHN", "2020-07-08,CHN", "until", "before the date"),
        (
            "policies.csv",
            "2020-01-01,IDN,export ban,nickel",
            "2020-01-01,IDN,export ban,nickle",
            "materials",
            "did you mean nickel",
        ),
        ("projects.csv", "Boguty,KAZ", "Boguty,KAS", "country", "unknown country"),
        ("countries.csv", "ARM,Armenia", "ARX,Armenia", "iso3", "ISO 3166-1"),
        ("terms.csv", "silicon_metal", "silicon_mettle", "products", "did you mean silicon_metal"),
        ("capacities.csv", "1480,kt", "1480,t", "unit", "not the unit"),
    ];
    for (file, find, replace, column, problem) in cases {
        let (line, text) = edit(file, find, replace);
        let found = problems(file, |_| text.clone());
        let place = format!("{file}:{line}:{column}: ");
        let here = found.iter().any(|p| p.starts_with(&place) && p.contains(problem));
        // Sums, years and pairs are reported at the first line of their group, or on the other row.
        let near = found.iter().any(|p| {
            p.starts_with(&format!("{file}:"))
                && p.contains(&format!(":{column}: "))
                && p.contains(problem)
        });
        let group = ["sum to", "differs", "repeats", "does not agree", "twice", "counted"];
        let anywhere = group.iter().any(|g| problem.contains(g));
        assert!(here || (anywhere && near), "{place}{problem}\nfound:\n{}", found.join("\n"));
    }
}

#[test]
fn all_bad_rows_are_reported_together_and_broken_files_too() {
    let found = problems("production.csv", |text| {
        text.replace("gallium,refine,CHN,2025", "gallium,refine,CHN,x")
            .replace("gallium,refine,JPN,2025,3000", "gallium,refine,JPN,2025,-3")
    });
    assert_eq!(found.len(), 2, "{found:?}");

    let ragged = problems("projects.csv", |text| text.replacen("Boguty,KAZ,", "Boguty,", 1));
    assert!(ragged[0].contains("projects.csv:") && ragged[0].contains("9 cells"), "{ragged:?}");

    let header = problems("uses.csv", |text| text.replacen("material,", "metal,", 1));
    assert!(header[0].starts_with("uses.csv:1:(header): the columns must be material,"));
    assert!(problems("terms.csv", |_| String::new())[0].contains("file is empty"));

    let missing = Tables::read(|name| match name {
        "trade.csv" => Err(std::io::ErrorKind::NotFound.into()),
        _ => Ok(original(name).into_bytes()),
    });
    assert!(missing.unwrap_err().to_string().contains("trade.csv"));

    let bytes = Tables::read(|name| {
        let mut bytes = original(name).into_bytes();
        if name == "countries.csv" {
            let at = bytes.iter().position(|&b| b == b'\n').unwrap() + 5;
            bytes[at] = 0xff;
        }
        Ok(bytes)
    });
    assert!(bytes.unwrap_err().to_string().contains("countries.csv:2:(row): the row is not valid"));
}

#[test]
fn a_directory_gives_the_same_tables_as_the_program() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("graph-data");
    assert_eq!(
        Tables::from_directory(&directory.join("tables")).unwrap(),
        Tables::embedded().unwrap()
    );
    assert_eq!(
        presets::from_directory(&directory.join("scenarios")).unwrap(),
        presets::embedded().unwrap()
    );
}

#[test]
fn the_data_package_describes_every_column() {
    let path = format!("{}/graph-data/datapackage.json", env!("CARGO_MANIFEST_DIR"));
    let package: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let resources = package["resources"].as_array().unwrap();
    let files: BTreeSet<String> =
        std::fs::read_dir(format!("{}/graph-data/tables", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
            .map(|e| format!("tables/{}", e.unwrap().file_name().to_str().unwrap()))
            .collect();
    let described: BTreeSet<String> =
        resources.iter().map(|r| r["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(described, files);
    for resource in resources {
        let file = resource["path"].as_str().unwrap().strip_prefix("tables/").unwrap();
        let fields = resource["schema"]["fields"].as_array().unwrap();
        let names: Vec<&str> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(original(file).lines().next().unwrap(), names.join(","), "{file}");
        assert!(fields.iter().all(|f| f["type"].is_string() && f["description"].is_string()));
        assert!(!resource["licenses"].as_array().unwrap().is_empty(), "{file}");
    }
}

#[test]
fn every_preset_selects_something_in_the_graph() {
    let tables = Tables::embedded().unwrap();
    let (network, settings) = critical_minerals(&tables).unwrap();
    let snapshot =
        Snapshot::build(network, SnapshotInfo::default(), chokepoint::dataset::countries());
    let presets = presets::embedded().unwrap();
    let expected = [
        "china-refining-stops",
        "gallium-squeeze-us-japan",
        "no-op",
        "pentagon-stockpile",
        "rare-earth-licences-2025",
        "silver-export-licences",
        "tungsten-kazakhstan",
        "us-ban-2024",
    ];
    assert_eq!(presets.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let projects = registers::projects(&tables);
    for (id, preset) in &presets {
        assert!(preset.title.is_some() && preset.description.is_some(), "{id}");
        for shock in &preset.shocks {
            for selector in
                shock.select.iter().chain(shock.restrict.iter().filter_map(|r| r.to.as_ref()))
            {
                assert!(!snapshot.select(selector).unwrap().is_empty(), "{id}: {selector:?}");
            }
        }
        for target in &preset.targets {
            let found = snapshot.select(&target.select).unwrap();
            assert!(!found.is_empty(), "{id}: {}", target.name);
        }
        for response in &preset.responses {
            match response {
                Response::Project { project, product, country, capacity, from_day, .. } => {
                    let name = project.as_deref().unwrap();
                    let entry = projects.iter().find(|p| p.name == name).unwrap();
                    assert_eq!(product.as_deref(), Some(&*entry.product));
                    assert_eq!(country.as_deref(), Some(&*entry.country));
                    let known = entry.capacity_in_graph.as_ref().unwrap().value;
                    assert!((capacity.unwrap() / known - 1.0).abs() < 1e-9, "{name}");
                    let start: chrono::NaiveDate = preset
                        .model
                        .timeline
                        .as_ref()
                        .and_then(|t| t.start_date.as_deref())
                        .unwrap()
                        .parse()
                        .unwrap();
                    let begins = start + chrono::Days::new(from_day.unwrap() as u64);
                    let year = entry.start_year.to_string();
                    assert_eq!(begins.to_string(), format!("{year}-01-01"), "{name}");
                }
                Response::Stockpile { product, quantity, .. } => {
                    // The amount is that of a row of the table, in the unit of the graph; scandium
                    // has no tonnes in production.csv to convert by.
                    let known = tables.stockpiles.iter().any(|s| {
                        let unit = s.unit.as_deref().unwrap_or_default();
                        s.material == *product
                            && s.country() == "USA"
                            && s.quantity
                                .and_then(|q| {
                                    registers::in_graph(&tables, product, "refine", q, unit, "")
                                })
                                .is_some_and(|f| (f.value / quantity - 1.0).abs() < 1e-9)
                    });
                    assert!(
                        known || (product == "scandium" && *quantity == 0.1),
                        "{id}: {product}"
                    );
                }
                Response::Substitute { .. } => panic!("{id}: no preset substitutes"),
            }
        }
    }
    for selector in &settings.rationing.order {
        assert!(selector.allow_empty && snapshot.select(selector).is_ok());
    }
}

#[test]
fn registers_are_whole_and_their_ids_unique() {
    let tables = Tables::embedded().unwrap();
    let unique = |ids: Vec<String>, rows: usize| {
        assert_eq!(ids.len(), rows);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), rows);
    };
    let policies = registers::policies(&tables);
    unique(policies.iter().map(|p| p.id.clone()).collect(), tables.policies.len());
    assert!(policies.iter().any(|p| p.id == "2024-12-03-chn-export-ban-gallium"));
    let projects = registers::projects(&tables);
    unique(projects.iter().map(|p| p.id.clone()).collect(), tables.projects.len());
    let stockpiles = registers::stockpiles(&tables);
    unique(stockpiles.iter().map(|s| s.id.clone()).collect(), tables.stockpiles.len());
    unique(
        registers::sources(&tables).into_iter().map(|s| s.id).collect(),
        registers::sources(&tables).len(),
    );
    unique(
        registers::countries(&tables).into_iter().map(|c| c.id).collect(),
        tables.countries.len(),
    );

    let figures = registers::figures(&tables);
    assert_eq!(figures.len(), tables.production.len());
    let gallium = &figures["production.gallium.refine.CHN"];
    assert!(gallium.used && gallium.beside.contains(&"production.gallium.claim_refine.CHN".into()));
    let products = registers::products(&tables);
    let germanium = products.iter().find(|p| p.id == "germanium").unwrap();
    assert_eq!(germanium.hosts, ["coal_fly_ash", "zinc"]);
    assert!(products.iter().find(|p| p.id == "gallium").unwrap().nato_critical);
    let stages: BTreeSet<String> = registers::stages().into_iter().map(|s| s.id).collect();
    let (network, _) = critical_minerals(&tables).unwrap();
    for i in 0..network.node_count() as u32 {
        assert!(stages.contains(network.node_record(i).stage.as_deref().unwrap()));
    }
}
