//! Files to network and back: reference tables, synthesis, presets, registers, file formats.
//!
//! Knows `model` only. Everything of `graph-data/` is part of the program, so that it needs nothing
//! beside itself; the tables can be read from a directory too.

pub mod formats;
pub mod mef;
pub mod presets;
pub mod registers;
pub mod synthesis;
pub mod tables;
pub mod units;

use std::sync::{Arc, LazyLock};

use crate::model::Countries;
use tables::{Assessment, Tables};

/// Name of the graph that is synthesised from the reference tables.
pub const CRITICAL_MINERALS: &str = "critical-minerals";

static TABLES: LazyLock<Tables> = LazyLock::new(|| match Tables::embedded() {
    Ok(tables) => tables,
    // The embedded tables are the program's own; its tests read and check every row of them.
    Err(error) => unreachable!("{error}"),
});

static ASSESSMENT: LazyLock<Assessment> = LazyLock::new(|| match Assessment::embedded() {
    Ok(tables) => tables,
    // As above.
    Err(error) => unreachable!("{error}"),
});

static COUNTRIES: LazyLock<Arc<Countries>> = LazyLock::new(|| Arc::new(TABLES.country_register()));

/// The reference tables of this program, read and checked once.
pub fn tables() -> &'static Tables {
    &TABLES
}

/// Tables that judge answers: published scores, value added, published estimates.
pub fn assessment() -> &'static Assessment {
    &ASSESSMENT
}

/// The register of countries of this program.
pub fn countries() -> Arc<Countries> {
    COUNTRIES.clone()
}
