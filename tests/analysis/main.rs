//! The analyses against laws, oracles, worked cases and brute force.

mod attribution_laws;
mod cascade_cases;
mod centrality;
mod concentration;
mod cut_sets_cases;
mod cut_sets_engine;
mod cut_sets_laws;
mod cuts_cases;
mod impact_laws;
mod impact_oracle;
#[path = "../support/laws.rs"]
mod laws;
mod mef;
mod mitigations;
mod timeline_cases;
mod timeline_laws;
mod uncertainty;
