//! What holds for the project as a whole: arrows, data set, documents, parsers.

mod architecture;
mod dataset;
mod fuzz_parsers;
mod openapi;
mod synthesis;
