//! `chokepoint serve`.

use std::net::TcpListener;

use chokepoint::http::extract::BodyLimits;
use chokepoint::http::server::{ServerOptions, server};
use clap::Args;

use super::{Common, Failure, log, open};

/// Flags of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    common: Common,
    /// Address to listen on [default: 127.0.0.1:8080]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// Do not import the bundled graph into an empty store.
    #[arg(long)]
    no_seed: bool,
    /// How log lines look: pretty or json.
    #[arg(long, value_name = "FORMAT")]
    log: Option<String>,
    /// Further settings, for example `--set workers=4`.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// Serves until SIGTERM or SIGINT; running requests are finished.
pub fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let mut flags = Vec::new();
    flags.extend(args.bind.clone().map(|bind| ("bind", bind)));
    flags.extend(args.log.clone().map(|log| ("log", log)));
    if args.no_seed {
        flags.push(("seed", "false".to_owned()));
    }
    let mut config = args.common.settings(flags)?;
    for setting in &args.set {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            Failure::Config(chokepoint::config::ConfigError {
                origin: "--set".into(),
                problem: format!("\"{setting}\" is not NAME=VALUE"),
            })
        })?;
        config.set(name, value, &format!("--set {name}"))?;
    }
    log(&config, false);

    // Listen before loading, so that health checks are answered from the start.
    let bind_failed = |error| Failure::Bind { address: config.bind, error };
    let listener = TcpListener::bind(config.bind).map_err(bind_failed)?;
    let address = listener.local_addr().map_err(bind_failed)?;
    let service = actix_web::web::Data::new(open(&config)?);
    let options = ServerOptions {
        workers: config.workers,
        limits: BodyLimits {
            json: config.json_limit_mib << 20,
            import: config.import_limit_mib << 20,
        },
        shutdown_seconds: config.shutdown_seconds,
    };
    println!("Chokepoint serves http://{address}");
    println!("  Swagger UI  http://{address}/docs/");
    println!("  OpenAPI     http://{address}/openapi.json");
    println!("  data in     {}", config.data_dir.display());

    let (loading, seed) = (service.clone().into_inner(), config.seed);
    let loader = std::thread::Builder::new().name("loader".into()).spawn(move || {
        if let Err(error) = loading.start(seed) {
            tracing::error!(%error, "the graphs cannot be loaded; the server stays not ready");
        }
    });
    if let Err(error) = loader {
        return Err(bind_failed(error));
    }
    actix_web::rt::System::new()
        .block_on(async { server(service, listener, &options)?.await })
        .map_err(bind_failed)
}
