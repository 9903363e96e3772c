//! REST over the service: the router, handlers by noun, problems, OpenAPI.
//!
//! Only this module knows status codes, headers and media types. A handler is a doc comment (the
//! summary in the OpenAPI document), an annotation and a few lines that call the service.

pub mod admin;
pub mod by_name;
pub mod changes;
pub mod comparisons;
pub mod concentration;
pub mod contract;
pub mod csv;
pub mod cut_sets;
pub mod edge;
pub mod engines;
pub mod explore;
pub mod exports;
pub mod exposure;
pub mod extract;
pub mod flows;
pub mod front;
pub mod graphs;
pub mod guard;
pub mod impacts;
mod imports;
pub mod jobs;
pub mod lists;
pub mod merges;
pub mod metrics;
pub mod mitigations;
pub mod nodes;
mod objects;
pub mod once;
pub mod openapi;
pub mod openapi_30;
pub mod operations;
pub mod overview;
pub mod page;
pub mod problem;
pub mod protection;
pub mod questions;
pub mod registers;
pub mod reply;
pub mod reports;
pub mod requirements;
pub mod retention;
pub mod router;
pub mod rows;
pub mod run;
pub mod scenarios;
pub mod sensitivity;
pub mod server;
pub mod structure;
mod timelines;

/// The service as handlers get it.
pub type App = actix_web::web::Data<crate::service::Service>;
