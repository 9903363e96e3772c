//! Columns of each table and how a row is read from them.

use super::reader::{Cells, TableRow};
use super::rows::{
    BomRow, CapacityRow, CountryRow, NETWORK_STAGES, PolicyRow, ProductionRow, ProjectRow,
    StockpileRow, TermRow, TradeRow, UseRow, UseShareRow,
};

const UNBOUNDED: f64 = f64::INFINITY;

fn key<const N: usize>(parts: [&str; N]) -> Vec<String> {
    parts.iter().map(|&p| p.to_owned()).collect()
}

impl TableRow for ProductionRow {
    const FILE: &'static str = "production.csv";
    const COLUMNS: &'static [&'static str] =
        &["material", "stage", "country", "year", "quantity", "unit", "share", "source", "note"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let row = Self {
            line: cells.line,
            material: cells.name("material"),
            stage: cells.name("stage"),
            country: cells.text("country"),
            year: cells.year("year"),
            quantity: cells.number("quantity", 0.0, UNBOUNDED),
            unit: cells.optional("unit"),
            share: cells.number("share", 0.0, 1.0),
            source: cells.text("source"),
            note: cells.optional("note"),
        };
        if !row.stage.is_empty()
            && !row.in_network()
            && row.stage != "price"
            && !row.stage.starts_with("claim_")
        {
            cells.fail(
                "stage",
                format!(
                    "\"{}\" is not one of {}, price, claim_*",
                    row.stage,
                    NETWORK_STAGES.join(", ")
                ),
            );
        }
        if row.quantity.is_some() && row.unit.is_none() {
            cells.fail("unit", "is empty; a quantity needs a unit");
        }
        row
    }

    fn key(&self) -> Vec<String> {
        let stage = NETWORK_STAGES.iter().position(|s| *s == self.stage).unwrap_or(9);
        key([&self.material, &format!("{stage}{}", self.stage), &self.country])
    }
}

impl TableRow for UseRow {
    const FILE: &'static str = "uses.csv";
    const COLUMNS: &'static [&'static str] = &[
        "material",
        "product_or_component",
        "industry",
        "share_of_use",
        "intensity",
        "intensity_unit",
        "essential",
        "substitutability_note",
        "source",
    ];

    fn read(cells: &mut Cells<'_>) -> Self {
        Self {
            line: cells.line,
            material: cells.name("material"),
            product_or_component: cells.text("product_or_component"),
            industry: cells.name("industry"),
            share_of_use: cells.number("share_of_use", 0.0, 1.0),
            intensity: cells.number("intensity", 0.0, UNBOUNDED),
            intensity_unit: cells.optional("intensity_unit"),
            essential: cells.one_of("essential", &["yes", "partly", "no"]),
            substitutability_note: cells.optional("substitutability_note"),
            source: cells.text("source"),
        }
    }

    fn key(&self) -> Vec<String> {
        key([&self.material, &self.product_or_component, &self.industry])
    }
}

impl TableRow for BomRow {
    const FILE: &'static str = "bill_of_materials.csv";
    const COLUMNS: &'static [&'static str] =
        &["output", "input", "quantity", "unit", "essentiality", "dependence", "source"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let row = Self {
            line: cells.line,
            output: cells.name("output"),
            input: cells.name("input"),
            quantity: cells.number("quantity", 0.0, UNBOUNDED),
            unit: cells.optional("unit"),
            essentiality: cells.one_of("essentiality", &["essential", "important", "minor"]),
            dependence: cells.number("dependence", 0.0, 1.0),
            source: cells.text("source"),
        };
        if row.output == row.input && !row.output.is_empty() {
            cells.fail("input", "is the output itself; stages of one product are linked anyway");
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.output, &self.input])
    }
}

impl TableRow for UseShareRow {
    const FILE: &'static str = "use_shares.csv";
    const COLUMNS: &'static [&'static str] =
        &["input", "consumer", "kind", "use_share", "class", "source"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let row = Self {
            line: cells.line,
            input: cells.name("input"),
            consumer: cells.name("consumer"),
            kind: cells.one_of("kind", &["use", "joint"]),
            use_share: cells.number("use_share", 0.0, 1.0),
            class: cells.one_of("class", &["measured", "recalled", "estimate", "derived"]),
            source: cells.text("source"),
        };
        match (row.kind.as_str(), row.use_share) {
            ("use", None) => cells.fail("use_share", "is empty; a use row needs a share"),
            ("joint", Some(_)) => {
                cells.fail("use_share", "must be empty; a joint row takes nothing from other uses");
            }
            ("joint", None) if row.consumer == "other_uses" => {
                cells.fail("kind", "other_uses cannot be a joint product");
            }
            _ => {}
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.input, &self.consumer])
    }
}

impl TableRow for TradeRow {
    const FILE: &'static str = "trade.csv";
    const COLUMNS: &'static [&'static str] = &[
        "importer",
        "exporter",
        "material",
        "stage",
        "share_or_quantity",
        "unit",
        "year",
        "source",
    ];

    fn read(cells: &mut Cells<'_>) -> Self {
        let stages = [
            "mine",
            "refine",
            "component",
            "net_import_reliance",
            "export_destination",
            "trade_share",
        ];
        let share = cells.number("share_or_quantity", 0.0, 1.0);
        let row = Self {
            line: cells.line,
            importer: cells.text("importer"),
            exporter: cells.text("exporter"),
            material: cells.name("material"),
            stage: cells.one_of("stage", &stages),
            share: share.unwrap_or_default(),
            year: cells.year("year"),
            source: cells.text("source"),
        };
        if share.is_none() && cells.optional("share_or_quantity").is_none() {
            cells.fail("share_or_quantity", "is empty; a value is required");
        }
        cells.one_of("unit", &["share"]);
        row
    }

    fn key(&self) -> Vec<String> {
        let year = self.year.to_string();
        key([&self.importer, &self.material, &self.stage, &year, &self.exporter])
    }
}

impl TableRow for StockpileRow {
    const FILE: &'static str = "stockpiles.csv";
    const COLUMNS: &'static [&'static str] = &[
        "holder",
        "material",
        "kind",
        "quantity",
        "unit",
        "days_of_cover",
        "year",
        "source",
        "note",
    ];

    fn read(cells: &mut Cells<'_>) -> Self {
        let kinds = [
            "holding",
            "planned_purchase",
            "planned_budget",
            "annual_plan_ceiling",
            "target_days",
            "industry_stock",
            "inventory_value",
            "new_funding",
        ];
        let row = Self {
            line: cells.line,
            holder: cells.text("holder"),
            material: cells.name("material"),
            kind: cells.one_of("kind", &kinds),
            quantity: cells.number("quantity", 0.0, UNBOUNDED),
            unit: cells.optional("unit"),
            days_of_cover: cells.number("days_of_cover", 0.0, 36_500.0),
            year: cells.year("year"),
            source: cells.text("source"),
            note: cells.optional("note"),
        };
        if row.quantity.is_some() && row.unit.is_none() {
            cells.fail("unit", "is empty; a quantity needs a unit");
        }
        if row.kind == "target_days" && row.days_of_cover.is_none() {
            cells.fail("days_of_cover", "is empty; target_days needs days");
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.holder, &self.material, &self.kind, &self.year.to_string()])
    }
}

impl TableRow for PolicyRow {
    const FILE: &'static str = "policies.csv";
    const COLUMNS: &'static [&'static str] =
        &["date", "actor", "measure", "materials", "targets", "until", "source", "note"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let date = cells.date("date");
        if date.is_none() && cells.optional("date").is_none() {
            cells.fail("date", "is empty; a date is required");
        }
        let row = Self {
            line: cells.line,
            date: date.unwrap_or_default(),
            actor: cells.text("actor"),
            measure: cells.text("measure"),
            materials: cells.list("materials", true),
            targets: cells.list("targets", false),
            until: cells.date("until"),
            source: cells.text("source"),
            note: cells.optional("note"),
        };
        for (column, empty) in
            [("materials", row.materials.is_empty()), ("targets", row.targets.is_empty())]
        {
            if empty {
                cells.fail(column, "is empty; a value is required");
            }
        }
        if let (Some(from), Some(until)) = (date, row.until)
            && until < from
        {
            cells.fail("until", format!("{until} is before the date {from}"));
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.date.to_string(), &self.actor, &self.measure, &self.materials.join(";")])
    }
}

impl TableRow for ProjectRow {
    const FILE: &'static str = "projects.csv";
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "country",
        "material",
        "stage",
        "capacity",
        "unit",
        "start_year",
        "funding",
        "source",
        "note",
    ];

    fn read(cells: &mut Cells<'_>) -> Self {
        let row = Self {
            line: cells.line,
            name: cells.text("name"),
            country: cells.text("country"),
            material: cells.name("material"),
            stage: cells.one_of("stage", &["mine", "refine", "component"]),
            capacity: cells.number("capacity", 0.0, UNBOUNDED),
            unit: cells.optional("unit"),
            start_year: cells.year("start_year"),
            funding: cells.optional("funding"),
            source: cells.text("source"),
            note: cells.optional("note"),
        };
        if row.capacity.is_some() && row.unit.is_none() {
            cells.fail("unit", "is empty; a capacity needs a unit");
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.name, &self.material])
    }
}

impl TableRow for CountryRow {
    const FILE: &'static str = "countries.csv";
    const COLUMNS: &'static [&'static str] =
        &["iso3", "name", "region", "blocs", "governance_score_0_1", "wgi_mean_estimate", "source"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let row = Self {
            line: cells.line,
            iso3: cells.text("iso3"),
            name: cells.text("name"),
            region: cells.text("region"),
            blocs: cells.list("blocs", false),
            governance: cells.number("governance_score_0_1", 0.0, 1.0),
            wgi_mean: cells.number("wgi_mean_estimate", -2.5, 2.5),
            source: cells.text("source"),
        };
        if !row.iso3.is_empty()
            && row.region != "pseudo"
            && rust_iso3166::from_alpha3(&row.iso3).is_none()
        {
            cells.fail("iso3", format!("\"{}\" is not an ISO 3166-1 alpha-3 code", row.iso3));
        }
        row
    }

    fn key(&self) -> Vec<String> {
        key([&self.iso3])
    }
}

impl TableRow for TermRow {
    const FILE: &'static str = "terms.csv";
    const COLUMNS: &'static [&'static str] = &["term", "products", "meaning"];

    fn read(cells: &mut Cells<'_>) -> Self {
        Self {
            line: cells.line,
            term: cells.name("term"),
            products: cells.list("products", true),
            meaning: cells.text("meaning"),
        }
    }

    fn key(&self) -> Vec<String> {
        key([&self.term])
    }
}

impl TableRow for CapacityRow {
    const FILE: &'static str = "capacities.csv";
    const COLUMNS: &'static [&'static str] =
        &["material", "stage", "country", "capacity", "unit", "year", "source", "note"];

    fn read(cells: &mut Cells<'_>) -> Self {
        let capacity = cells.number("capacity", 0.0, UNBOUNDED);
        if capacity.is_none() && cells.optional("capacity").is_none() {
            cells.fail("capacity", "is empty; a value is required");
        }
        Self {
            line: cells.line,
            material: cells.name("material"),
            stage: cells.one_of("stage", &["mine", "refine", "component"]),
            country: cells.text("country"),
            capacity: capacity.unwrap_or_default(),
            unit: cells.text("unit"),
            year: cells.year("year"),
            source: cells.text("source"),
            note: cells.optional("note"),
        }
    }

    fn key(&self) -> Vec<String> {
        key([&self.material, &self.stage, &self.country])
    }
}
