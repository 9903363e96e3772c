//! `chokepoint impact`: a scenario answered in the terminal.

use chokepoint::analysis::Progress;
use chokepoint::model::scenario::ScenarioBody;
use chokepoint::service::reference::BUNDLED_GRAPH;
use clap::Args;

use super::{Common, Failure, open, table, telemetry};

/// The question that is asked if none is named.
const FLAGSHIP: &str = "china-refining-stops";

/// Flags of `impact`.
#[derive(Debug, Args)]
pub struct ImpactArgs {
    #[command(flatten)]
    common: Common,
    /// Id of a preset or stored scenario, or a file with a scenario as JSON.
    #[arg(default_value = FLAGSHIP)]
    scenario: String,
    /// Graph to ask.
    #[arg(long, default_value = BUNDLED_GRAPH)]
    graph: String,
    /// Print the answer as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Answers a scenario. The first run imports the bundled graph into an empty store.
pub fn impact(args: &ImpactArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    let body = scenario(&args.scenario)?;
    let service = open(&config)?;
    let spinner = indicatif::ProgressBar::new_spinner();
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner.set_message("opening the graph");
    service.start(true)?;
    let snapshot = service.catalogue.load(&args.graph, body.at)?;
    let question = service.question(snapshot.clone(), body)?;
    spinner.set_message("evaluating the scenario");
    let answer = service.pool.install(|| service.impact(&question, &Progress::silent()))?;
    spinner.finish_and_clear();
    let text = String::from_utf8_lossy(&answer.body);
    if args.json {
        println!("{text}");
        return Ok(());
    }
    let value = serde_json::from_str(&text)
        .map_err(|error| Failure::Input(format!("the answer cannot be shown: {error}")))?;
    print!("{}", table::impact(&value));
    println!(
        "\n{} (version {}): {} nodes, {} flows. Answer {}.",
        args.graph,
        snapshot.info().version,
        snapshot.node_count(),
        snapshot.flow_count(),
        answer.id
    );
    println!(
        "More: `chokepoint serve`, then http://{}/docs for the API and every preset.",
        config.bind
    );
    Ok(())
}

/// A scenario by id, or the one in a JSON file.
fn scenario(name: &str) -> Result<ScenarioBody, Failure> {
    let path = std::path::Path::new(name);
    if path.extension().is_some_and(|e| e == "json") {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::File { path: name.to_owned(), error })?;
        return serde_json::from_str(&text)
            .map_err(|error| Failure::Input(format!("{name}: {error}")));
    }
    Ok(ScenarioBody { scenario: Some(name.to_owned()), ..ScenarioBody::default() })
}
