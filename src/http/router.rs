//! Every route, in one table. Paths, methods and documentation stand at the handlers.

use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    changes, explore, exports, flows, graphs, impacts, imports, jobs, merges, nodes, operations,
    registers, requirements, retention, scenarios,
};

/// All routes of `/v1` and the health checks.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        // Questions
        .service(impacts::post_impact)
        .service(impacts::get_impact)
        .service(impacts::get_explanation)
        .service(impacts::get_impact_table)
        .service(impacts::post_impact_batch)
        .service(impacts::get_batch)
        .service(impacts::post_knock_outs)
        .service(impacts::get_knock_outs)
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
        // Rows
        .service(nodes::list_nodes)
        .service(nodes::get_node)
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
        // Exploring
        .service(explore::get_upstream)
        .service(explore::get_downstream)
        .service(explore::search_graph)
        // Scenarios and registers
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
        .service(registers::get_figure)
        // Long work
        .service(jobs::get_job)
        .service(jobs::cancel_job)
        .service(jobs::watch_job)
        // Operations
        .service(operations::get_health)
        .service(operations::get_readiness)
        .service(operations::get_version)
        .service(operations::list_problems)
        .service(operations::back_up);
}
