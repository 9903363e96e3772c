//! The service from outside: the built binary over real HTTP.

mod access;
mod actions;
mod api;
mod attacks;
mod cut_sets;
mod database;
mod engines;
mod errors;
mod front;
mod pages;
mod questions;
mod server;
mod structure;
#[path = "../support/mod.rs"]
mod support;
mod telemetry;
mod timeline;
mod uncertainty;
