//! REST over the service: the router, handlers by noun, problems, OpenAPI.
//!
//! Only this module knows status codes, headers and media types. A handler is a doc comment (the
//! summary in the OpenAPI document), an annotation and a few lines that call the service.

pub mod changes;
pub mod csv;
pub mod edge;
pub mod explore;
pub mod exports;

pub mod extract;
pub mod flows;
pub mod graphs;
pub mod impacts;
mod imports;
pub mod jobs;
pub mod lists;
pub mod merges;
pub mod nodes;
pub mod once;
pub mod openapi;
pub mod operations;
pub mod problem;
pub mod registers;
pub mod reply;
pub mod requirements;
pub mod retention;
pub mod router;
pub mod rows;
pub mod run;
pub mod scenarios;
pub mod server;

/// The service as handlers get it.
pub type App = actix_web::web::Data<crate::service::Service>;
