//! Typed rows of the reference tables.

use chrono::NaiveDate;

/// Stages whose rows are nodes of the network, in the order in which products pass them.
pub const NETWORK_STAGES: [&str; 5] = ["mine", "refine", "component", "industry", "consumption"];

/// A country's part of one stage of one material (`production.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct ProductionRow {
    /// Line of the file.
    pub line: u64,
    /// Material, component or industry.
    pub material: String,
    /// A stage of [`NETWORK_STAGES`], `price`, or `claim_*`.
    pub stage: String,
    /// Country code.
    pub country: String,
    /// Base year.
    pub year: i32,
    /// Output per year, or the price or claim, in `unit`.
    pub quantity: Option<f64>,
    /// Unit of the quantity.
    pub unit: Option<String>,
    /// Part of world output of this material and stage, 0-1.
    pub share: Option<f64>,
    /// Where the numbers come from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// A use of a material, or a fact about a platform (`uses.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct UseRow {
    /// Line of the file.
    pub line: u64,
    /// Material.
    pub material: String,
    /// What it goes into.
    pub product_or_component: String,
    /// Industry, `other*`, `nato_list` or `benchmark_*`.
    pub industry: String,
    /// Part of world use, 0-1.
    pub share_of_use: Option<f64>,
    /// Amount per unit made, in `intensity_unit`.
    pub intensity: Option<f64>,
    /// Unit of the intensity.
    pub intensity_unit: Option<String>,
    /// `yes`, `partly` or `no`.
    pub essential: String,
    /// What could replace it.
    pub substitutability_note: Option<String>,
    /// Where the numbers come from.
    pub source: String,
}

/// An input of an output (`bill_of_materials.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct BomRow {
    /// Line of the file.
    pub line: u64,
    /// What is made.
    pub output: String,
    /// What it needs.
    pub input: String,
    /// Input per output, in `unit`.
    pub quantity: Option<f64>,
    /// Unit of the quantity (`index`: needed, no physical quantity).
    pub unit: Option<String>,
    /// `essential`, `important` or `minor`.
    pub essentiality: String,
    /// Share of output that stops when the input stops; by essentiality if absent.
    pub dependence: Option<f64>,
    /// Where the row comes from; starts with `byproduct_of_host` for a by-product and its host.
    pub source: String,
}

/// A consumer's share of an input's world supply (`use_shares.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct UseShareRow {
    /// Line of the file.
    pub line: u64,
    /// What is supplied.
    pub input: String,
    /// Product that uses it, or `other_uses`.
    pub consumer: String,
    /// `use`, or `joint` for by-products that follow their host.
    pub kind: String,
    /// Share of world supply (`use` rows only), 0-1.
    pub use_share: Option<f64>,
    /// Class of the share.
    pub class: String,
    /// Where it comes from.
    pub source: String,
}

/// A bilateral share or an import reliance (`trade.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct TradeRow {
    /// Line of the file.
    pub line: u64,
    /// Importing country.
    pub importer: String,
    /// Exporting country.
    pub exporter: String,
    /// Material.
    pub material: String,
    /// `mine`, `refine`, `component`, `net_import_reliance`, `export_destination`, `trade_share`.
    pub stage: String,
    /// Share, 0-1.
    pub share: f64,
    /// Base year.
    pub year: i32,
    /// Where the number comes from.
    pub source: String,
}

/// A stock, target, plan or budget (`stockpiles.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct StockpileRow {
    /// Line of the file.
    pub line: u64,
    /// Country code and holder, joined by `-`.
    pub holder: String,
    /// Material, or `all`, `default`, `critical_minerals`.
    pub material: String,
    /// Kind of entry, such as `holding` or `target_days`.
    pub kind: String,
    /// Amount in `unit`.
    pub quantity: Option<f64>,
    /// Unit of the amount.
    pub unit: Option<String>,
    /// Days of use that it covers.
    pub days_of_cover: Option<f64>,
    /// Year of the entry.
    pub year: i32,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// A measure of a government (`policies.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRow {
    /// Line of the file.
    pub line: u64,
    /// Day in force or announced.
    pub date: NaiveDate,
    /// Country or bloc that acts.
    pub actor: String,
    /// What it does.
    pub measure: String,
    /// Materials concerned.
    pub materials: Vec<String>,
    /// Countries or blocs concerned, or `ALL`.
    pub targets: Vec<String>,
    /// Last day, if known (also a planned one).
    pub until: Option<NaiveDate>,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// New capacity (`projects.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectRow {
    /// Line of the file.
    pub line: u64,
    /// Name.
    pub name: String,
    /// Where it is.
    pub country: String,
    /// What it makes.
    pub material: String,
    /// Stage that it adds to.
    pub stage: String,
    /// Capacity per year, in `unit`.
    pub capacity: Option<f64>,
    /// Unit of the capacity.
    pub unit: Option<String>,
    /// Year of the start (company targets or estimates).
    pub start_year: i32,
    /// Who pays.
    pub funding: Option<String>,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// A country or pseudo country (`countries.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct CountryRow {
    /// Line of the file.
    pub line: u64,
    /// ISO 3166-1 alpha-3, or `OTH`, `WLD`, `EUU`.
    pub iso3: String,
    /// English name.
    pub name: String,
    /// World region.
    pub region: String,
    /// Blocs it belongs to.
    pub blocs: Vec<String>,
    /// Governance score, 0-1.
    pub governance: Option<f64>,
    /// Mean of the six World Bank estimates, -2.5 to 2.5.
    pub wgi_mean: Option<f64>,
    /// Where the score comes from.
    pub source: String,
}

/// A word that other tables use for something that is no product of the network (`terms.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct TermRow {
    /// Line of the file.
    pub line: u64,
    /// The word.
    pub term: String,
    /// Products of the network that it stands for.
    pub products: Vec<String>,
    /// What it means.
    pub meaning: String,
}

/// Most that a country's plants of one stage could make in a year (`capacities.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityRow {
    /// Line of the file.
    pub line: u64,
    /// Material.
    pub material: String,
    /// Stage.
    pub stage: String,
    /// Country code.
    pub country: String,
    /// Capacity per year, in `unit`.
    pub capacity: f64,
    /// Unit, the same as in the production table.
    pub unit: String,
    /// Year of the capacity.
    pub year: i32,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

impl ProductionRow {
    /// True if the row is a node of the network, not a price or a claim beside it.
    pub fn in_network(&self) -> bool {
        NETWORK_STAGES.contains(&self.stage.as_str())
    }
}

impl UseRow {
    /// True if the row counts in the sum of a material's shares of world use.
    pub fn in_world_sum(&self) -> bool {
        !self.industry.ends_with("_usa") && self.industry != "batteries_all"
    }
}

impl BomRow {
    /// Share of output that stops when the input stops: the row's, else by essentiality (essential
    /// 1, important 0.5, minor 0.1).
    pub fn dependence_value(&self) -> f64 {
        self.dependence.unwrap_or(match self.essentiality.as_str() {
            "essential" => 1.0,
            "important" => 0.5,
            _ => 0.1,
        })
    }
}

impl StockpileRow {
    /// Country code of the holder.
    pub fn country(&self) -> &str {
        self.holder.split('-').next().unwrap_or_default()
    }
}
