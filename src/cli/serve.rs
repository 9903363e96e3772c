//! `chokepoint serve`.

use std::net::TcpListener;
use std::time::Duration;

use chokepoint::config::Config;
use chokepoint::http::extract::BodyLimits;
use chokepoint::http::server::{ServerOptions, serve as run};
use clap::Args;

use super::{Common, Failure, open, telemetry};

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
    config.check()?;
    let _telemetry = telemetry::start(&config, false)?;

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
            idle: Duration::from_secs(config.request_timeout_seconds),
        },
        shutdown_seconds: config.shutdown_seconds,
        request_timeout: Duration::from_secs(config.request_timeout_seconds),
        tls: tls(&config)?,
        cors_origins: config.cors_origins.clone(),
        rate_limit: config.rate_limit,
        rate_burst: config.rate_burst,
        traced: !config.otlp_endpoint.is_empty(),
    };
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    println!("Chokepoint serves {scheme}://{address}");
    println!("  Swagger UI  {scheme}://{address}/docs/");
    println!("  OpenAPI     {scheme}://{address}/openapi.json");
    println!("  data in     {}", config.data_dir.display());

    if config.auth.is_off() {
        println!("  access      open to everyone on this machine");
    } else if config.auth.keys && service.access.keys.is_empty() {
        println!(
            "  access      there is no API key yet; stop, then: chokepoint keys create NAME --role admin"
        );
    }

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
        .block_on(async { run(service, listener, &options).await })
        .map_err(bind_failed)
}

/// What TLS needs, if it is set.
fn tls(config: &Config) -> Result<Option<rustls::ServerConfig>, Failure> {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let (Some(certificate), Some(key)) = (&config.tls_certificate, &config.tls_key) else {
        return Ok(None);
    };
    let wrong = |origin: &'static str| {
        move |problem: &dyn std::fmt::Display| {
            Failure::Config(chokepoint::config::ConfigError {
                origin: origin.into(),
                problem: format!("the file cannot be used: {problem}"),
            })
        }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("tls_certificate")(&e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong("tls_key")(&e))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map(Some)
        .map_err(|e| wrong("tls_certificate")(&e))
}
