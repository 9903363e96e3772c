//! Commands, flags and exit codes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

mod files;
mod impact;
mod keys;
mod serve;
mod store;
pub mod table;
mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use chokepoint::config::{Config, ConfigError};
use chokepoint::service::access::AccessOptions;
use chokepoint::service::access::tokens::TokenOptions;
use chokepoint::service::engines::EngineOptions;
use chokepoint::service::imports::ImportFailure;
use chokepoint::service::jobs::JobOptions;
use chokepoint::service::memory::MemoryBudget;
use chokepoint::service::{Service, ServiceError, ServiceOptions};
use chokepoint::store::{Store, StoreError, StoreOptions};
use clap::{Args, Parser, Subcommand};

/// Who supplies what to whom, and what breaks when part of it stops.
#[derive(Debug, Parser)]
#[command(name = "chokepoint", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Settings come from defaults, then a TOML file (--config), then CHOKEPOINT_* variables, then flags.

Exit codes:
  0  done
  1  a defect of this program
  2  wrong usage: an unknown flag or a bad setting
  3  bad input: a file or scenario that cannot be used; nothing was written
  4  not found: no such graph, scenario, version or file
  5  the store cannot be used: locked, corrupt, full, or of another format
  6  the address cannot be listened on";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, Swagger UI and the explorer.
    Serve(serve::ServeArgs),
    /// Answer a scenario in the terminal [default: China's refining stops].
    Impact(impact::ImpactArgs),
    /// Import a file into a graph.
    Import(files::ImportArgs),
    /// Export a graph to a file.
    Export(files::ExportArgs),
    /// Check every stored record.
    Check(store::StoreArgs),
    /// Write a backup of the whole store to a file.
    Backup(store::BackupArgs),
    /// Make a new store of a backup, in a new or empty directory.
    Restore(store::BackupArgs),
    /// Make, list and revoke API keys (while the server is stopped; else use /v1/admin/keys).
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Look at the settings.
    #[command(subcommand)]
    Config(keys::ConfigCommand),
    /// Print the OpenAPI document.
    Openapi {
        /// Version of OpenAPI; 3.0 is for client generators that do not read 3.1.
        #[arg(long, value_name = "VERSION", default_value = "3.1", value_parser = ["3.1", "3.0"])]
        version: String,
    },
}

/// Flags that most commands take.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Directory of the store [default: ./chokepoint-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A bad setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The service says why.
    #[error("{0}")]
    Service(#[from] ServiceError),
    /// The store cannot be opened.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A file is bad.
    #[error("{0}")]
    Input(String),
    /// A file is not there or cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The address is in use or not ours.
    #[error("cannot listen on {address}: {error}; choose another with --bind")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

impl From<ImportFailure> for Failure {
    fn from(failure: ImportFailure) -> Self {
        match failure {
            ImportFailure::Service(error) => Self::Service(error),
            other => Self::Input(other.to_string()),
        }
    }
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Input(_) => 3,
            Self::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => 4,
            Self::File { .. } => 3,
            Self::Store(_) | Self::Service(ServiceError::Store(_)) => 5,
            Self::Service(ServiceError::Absent { .. }) => 4,
            Self::Service(ServiceError::Internal) => 1,
            Self::Service(_) => 3,
            Self::Bind { .. } => 6,
        }
    }

    fn hint(&self) -> Option<&str> {
        match self {
            Self::Service(
                ServiceError::Absent { hint, .. }
                | ServiceError::Malformed { hint, .. }
                | ServiceError::Impossible { hint, .. },
            ) => hint.as_deref(),
            _ => None,
        }
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // One provider for the server's TLS and for fetching an issuer's keys; a second call is none.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli.command {
        Command::Serve(args) => serve::serve(&args),
        Command::Impact(args) => impact::impact(&args),
        Command::Import(args) => files::import(&args),
        Command::Export(args) => files::export(&args),
        Command::Check(args) => store::check(&args),
        Command::Backup(args) => store::backup(&args),
        Command::Restore(args) => store::restore(&args),
        Command::Keys(command) => keys::keys(&command),
        Command::Config(command) => keys::config(&command),
        Command::Openapi { version } => {
            use chokepoint::http::{openapi::document_text, openapi_30::document_text_30};
            print!("{}", if version == "3.0" { document_text_30() } else { document_text() });
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let hint = failure.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            eprintln!("chokepoint: {failure}{hint}");
            ExitCode::from(failure.exit_code())
        }
    }
}

impl Common {
    /// The settings in force, with further flags.
    fn settings(&self, flags: Vec<(&'static str, String)>) -> Result<Config, Failure> {
        let mut all = flags;
        if let Some(dir) = &self.data_dir {
            all.push(("data_dir", dir.display().to_string()));
        }
        Ok(Config::load(self.config.as_deref(), std::env::vars(), &all)?)
    }
}

/// Opens the store and the service over it.
fn open(config: &Config) -> Result<Service, Failure> {
    let options = StoreOptions { cache_bytes: config.store_cache_mib << 20, ..Default::default() };
    let store = Store::open(&config.data_dir, options)?;
    let options = ServiceOptions {
        cpu_threads: config.cpu_threads,
        answer_cache_bytes: config.answer_cache_mib << 20,
        permalinks_kept: config.permalinks_kept,
        jobs: JobOptions {
            deadline: config.job_deadline,
            patience: config.answer_within,
            slots: match config.job_slots {
                0 => std::thread::available_parallelism().map_or(2, usize::from),
                slots => slots,
            },
            per_owner: config.jobs_per_principal,
        },
        memory: MemoryBudget { bytes: config.memory_budget_mib << 20 },
        access: AccessOptions {
            keys: config.auth.keys,
            tokens: config.auth.tokens.then(|| TokenOptions {
                issuer: config.jwt_issuer.clone(),
                audience: config.jwt_audience.clone(),
                jwks: config.jwt_jwks.clone(),
                role_claim: config.jwt_role_claim.clone(),
                graphs_claim: config.jwt_graphs_claim.clone(),
            }),
        },
        engines: EngineOptions {
            spark_python: config.spark_python.clone(),
            spark_master: config.spark_master.clone(),
            spark_conf: config.spark_conf.clone(),
            exchange: Some(
                config.exchange_dir.clone().unwrap_or_else(|| config.data_dir.join("exchange")),
            ),
            exchange_uri: config.exchange_uri.clone(),
        },
        graph_memory_bytes: config.graph_memory_mib << 20,
    };
    Ok(Service::new(store, &options)?)
}
