//! Every route, in one table. Paths, methods and documentation stand at the handlers.
//!
//! The framework tries routes one after the other, each by a regular expression. So they stand in
//! groups, and a group is tried only if it has the noun of the path: `impacts` of
//! `/v1/graphs/{g}/impacts` and of `/v1/impacts/{id}/range`.

use actix_web::dev::ServiceFactory;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::fn_guard;
use utoipa_actix_web::scope::{Scope, scope};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    admin, changes, comparisons, concentration, cut_sets, engines, explore, exports, exposure,
    flows, graphs, impacts, imports, jobs, merges, metrics, mitigations, nodes, operations,
    overview, protection, registers, reports, requirements, retention, scenarios, sensitivity,
    structure, timelines,
};

/// All routes of `/v1` and the health checks.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(with(&["nodes", "flows", "requirements", "search", "overview"], rows))
        .service(with(&["impacts", "batches", "knock-outs", "comparisons"], questions))
        .service(with(
            &[
                "centrality",
                "choke-points",
                "cuts",
                "separators",
                "cut-tree",
                "reachability",
                "paths",
                "longest-chain",
                "tiers",
                "components",
                "communities",
                "cycles",
                "similar",
                "attack-curve",
                "structure",
            ],
            structural,
        ))
        .service(with(
            &[
                "cut-sets",
                "worst-case",
                "worst-cases",
                "cheapest-cut",
                "cheapest-cuts",
                "protection",
                "protections",
                "fault-tree.xml",
            ],
            cutting,
        ))
        .service(with(&["concentration", "concentrations", "exposure", "exposures"], criticality))
        .service(with(
            &[
                "scenarios",
                "products",
                "countries",
                "stages",
                "policies",
                "projects",
                "stockpiles",
                "sources",
                "figures",
            ],
            registers_and_scenarios,
        ))
        .service(with(&["jobs", "engines", "analyses", "admin"], operating))
        // Graphs
        .service(graphs::list_graphs)
        .service(graphs::get_graph)
        .service(graphs::put_graph)
        .service(graphs::delete_graph)
        .service(graphs::list_versions)
        .service(graphs::get_diff)
        .service(retention::get_retention)
        .service(retention::put_retention)
        .service(retention::put_tag)
        .service(retention::delete_tag)
        .service(changes::post_changes)
        .service(merges::post_merge)
        .service(imports::import_graph)
        .service(imports::get_import)
        .service(exports::export_graph)
        .service(exports::export_table)
        // Operations
        .service(operations::get_health)
        .service(operations::get_readiness)
        .service(operations::get_version)
        .service(operations::list_problems)
        .service(metrics::get_metrics);
}

/// A group of routes whose paths have one of these nouns.
fn with(
    nouns: &'static [&'static str],
    routes: impl FnOnce(&mut ServiceConfig<'_>),
) -> Scope<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    scope("")
        .guard(fn_guard(move |context| nouns.contains(&noun(context.head().uri.path()))))
        .configure(routes)
}

/// The noun of a path: what follows a graph, else what follows `/v1`.
fn noun(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/v1/") else { return "" };
    let mut parts = rest.split('/');
    match parts.next() {
        Some("graphs") => parts.nth(1).unwrap_or_default(),
        noun => noun.unwrap_or_default(),
    }
}

/// Rows of a graph, and walking along them.
fn rows(config: &mut ServiceConfig<'_>) {
    config
        .service(nodes::get_node)
        .service(nodes::list_nodes)
        .service(nodes::put_node)
        .service(nodes::delete_node)
        .service(flows::list_flows)
        .service(flows::get_flow)
        .service(flows::put_flow)
        .service(flows::delete_flow)
        .service(requirements::list_requirements)
        .service(requirements::get_requirement)
        .service(requirements::put_requirement)
        .service(requirements::delete_requirement)
        .service(explore::get_upstream)
        .service(explore::get_downstream)
        .service(explore::search_graph)
        .service(overview::get_overview);
}

/// What is lost, and everything that is read of an answer.
fn questions(config: &mut ServiceConfig<'_>) {
    config
        .service(impacts::post_impact)
        .service(impacts::get_impact)
        .service(impacts::get_explanation)
        .service(impacts::get_impact_table)
        .service(timelines::get_timeline)
        .service(sensitivity::get_range)
        .service(sensitivity::get_sensitivity)
        .service(comparisons::post_comparison)
        .service(comparisons::get_comparison)
        .service(impacts::post_impact_batch)
        .service(impacts::get_batch)
        .service(impacts::post_knock_outs)
        .service(impacts::get_knock_outs)
        .service(reports::get_sankey)
        .service(reports::get_ranking)
        .service(reports::get_timeline_picture)
        .service(reports::get_tornado)
        .service(reports::get_world)
        .service(reports::get_brief)
        .service(reports::get_workbook)
        .service(reports::get_table)
        .service(mitigations::get_mitigations)
        .service(mitigations::get_economic);
}

/// Structural analyses.
fn structural(config: &mut ServiceConfig<'_>) {
    config
        .service(structure::centrality::post_centrality)
        .service(structure::choke_points::post_choke_points)
        .service(structure::cuts::post_cuts)
        .service(structure::cuts::post_separators)
        .service(structure::cuts::post_cut_tree)
        .service(structure::reachability::post_reachability)
        .service(structure::paths::get_paths)
        .service(structure::paths::post_paths)
        .service(structure::chains::post_longest_chain)
        .service(structure::chains::post_tiers)
        .service(structure::components::post_components)
        .service(structure::components::post_communities)
        .service(structure::cycles::post_cycles)
        .service(structure::similar::get_similar)
        .service(structure::attack::post_attack_curve)
        .service(structure::get_structure)
        .service(structure::table::get_structure_table);
}

/// Cut sets, worst cases, cheapest cuts, protection.
fn cutting(config: &mut ServiceConfig<'_>) {
    config
        .service(cut_sets::post_cut_sets)
        .service(cut_sets::stream_cut_sets)
        .service(cut_sets::get_cut_sets)
        .service(cut_sets::get_cut_set)
        .service(cut_sets::get_cut_set_impact)
        .service(cut_sets::get_cut_set_tree)
        .service(cut_sets::get_fault_tree)
        .service(cut_sets::post_worst_case)
        .service(cut_sets::get_worst_case)
        .service(cut_sets::post_cheapest_cut)
        .service(cut_sets::get_cheapest_cut)
        .service(protection::post_protection)
        .service(protection::get_protection);
}

/// Criticality beside impact.
fn criticality(config: &mut ServiceConfig<'_>) {
    config
        .service(concentration::post_concentration)
        .service(concentration::get_concentration)
        .service(exposure::post_exposure)
        .service(exposure::get_exposure);
}

/// Scenarios and registers.
fn registers_and_scenarios(config: &mut ServiceConfig<'_>) {
    config
        .service(scenarios::list_scenarios)
        .service(scenarios::post_scenario)
        .service(scenarios::get_scenario)
        .service(scenarios::put_scenario)
        .service(scenarios::delete_scenario)
        .service(registers::list_products)
        .service(registers::list_countries)
        .service(registers::list_stages)
        .service(registers::list_policies)
        .service(registers::list_projects)
        .service(registers::list_stockpiles)
        .service(registers::list_sources)
        .service(registers::get_figure);
}

/// Long work, engines and the administrator's.
fn operating(config: &mut ServiceConfig<'_>) {
    config
        .service(jobs::get_job)
        .service(jobs::cancel_job)
        .service(jobs::watch_job)
        .service(engines::list_engines)
        .service(engines::post_analysis)
        .service(engines::get_analysis)
        .service(engines::list_analysis_rows)
        .service(engines::delete_analysis)
        .service(operations::back_up)
        .service(admin::post_key)
        .service(admin::list_keys)
        .service(admin::revoke_key)
        .service(admin::list_audit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_noun() {
        assert_eq!(noun("/v1/graphs/g/impacts/batch"), "impacts");
        assert_eq!(noun("/v1/impacts/imp_1/range"), "impacts");
        assert_eq!(noun("/v1/graphs/nodes"), "");
        assert_eq!(noun("/healthz"), "");
    }
}
