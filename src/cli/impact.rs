//! `chokepoint impact`: a scenario answered in the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chokepoint::analysis::Progress;
use chokepoint::model::scenario::ScenarioBody;
use chokepoint::service::impacts::ranges::DRAWS;
use chokepoint::service::reference::BUNDLED_GRAPH;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

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
    /// Draws for the range of each loss; 0: no range [default: the scenario's, else 1000].
    #[arg(long, value_name = "N")]
    draws: Option<u32>,
    /// Seed of the draws [default: the scenario's, else 1].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the answer as the API gives it.
    #[arg(long)]
    json: bool,
}

/// Answers a scenario. The first run imports the bundled graph into an empty store.
pub fn impact(args: &ImpactArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    let mut body = scenario(&args.scenario)?;
    let service = open(&config)?;
    let spinner = indicatif::ProgressBar::new_spinner();
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner.set_message("opening the graph");
    service.start(true)?;
    let snapshot = service.catalogue.load(&args.graph, body.at)?;
    let stored = body.scenario.as_ref().and_then(|id| service.scenario(id).ok());
    let own = body.draws.or(stored.and_then(|s| s.body.draws));
    body.draws = args.draws.or(own).or(Some(DRAWS));
    body.seed = args.seed.or(body.seed);
    let question = service.question(snapshot.clone(), body)?;
    spinner.finish_and_clear();
    let answer = watched("evaluating the scenario", |progress| {
        service.pool.install(|| service.impact(&question, progress))
    })?;
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

/// Runs `work` with a bar that follows its progress (on stderr, if that is a terminal).
fn watched<T: Send>(message: &'static str, work: impl FnOnce(&Progress) -> T + Send) -> T {
    const STEPS: u64 = 1000;
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {eta}");
    let bar = ProgressBar::new(STEPS).with_message(message);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let progress = Progress::silent();
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                bar.set_position((progress.fraction() * STEPS as f64) as u64);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        let result = work(&progress);
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    });
    bar.finish_and_clear();
    result
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
