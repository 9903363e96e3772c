//! Answers as pictures, pages and tables: SVG, the one-page brief, CSV, Excel.
//!
//! Pure functions of an answer: no clock, no files, no randomness, so equal answers give equal
//! bytes. Reads answers by their published shape ([`answer`]), not through the service, and knows
//! no HTTP.
//!
//! Names come from users: all text goes through [`text::escape`] on its way into a document.

pub mod answer;
pub mod brief;
pub mod page;
pub mod ranking;
pub mod sankey;
pub mod svg;
pub mod tables;
pub mod text;
pub mod timeline;
pub mod tornado;
pub mod world;

pub use answer::Answer;

/// Why something cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The answer is not what this version reads.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer lacks the part that the picture shows.
    #[error("the answer has no {part}")]
    Missing {
        /// The part, as `include` names it.
        part: &'static str,
        /// How to get it.
        hint: &'static str,
    },
    /// The answer has no target of this name.
    #[error("the answer has no target \"{name}\"")]
    NoTarget {
        /// What was asked for.
        name: String,
        /// Names that it has.
        known: Vec<String>,
    },
    /// A spreadsheet cannot hold it.
    #[error("the table cannot be written: {0}")]
    Table(String),
}
