//! What holds for the project as a whole: arrows, data set, documents, parsers.

mod architecture;
mod dataset;
mod fuzz_parsers;
#[path = "../support/laws.rs"]
mod laws;
mod openapi;
mod synthesis;
