//! Configuration: defaults, then a TOML file, then the environment, then flags.
//!
//! Every setting has one name: `data_dir` in the file, `CHOKEPOINT_DATA_DIR` in the environment,
//! `--data-dir` as a flag. All four go through [`Config::set`], so a bad value gives the same one
//! error wherever it stands.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::selector::suggest;

/// Prefix of environment variables.
const PREFIX: &str = "CHOKEPOINT_";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Which credentials are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auth {
    /// API keys.
    pub keys: bool,
    /// Tokens of an OpenID Connect issuer.
    pub tokens: bool,
}

impl Auth {
    /// True if everyone may do everything.
    pub fn is_off(self) -> bool {
        self == Self::default()
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct ConfigError {
    /// Where it stands: a file, a variable, a flag.
    pub origin: String,
    /// What is wrong and what to do.
    pub problem: String,
}

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Directory of the store.
    pub data_dir: PathBuf,
    /// Address to listen on; loopback unless set.
    pub bind: SocketAddr,
    /// Import the bundled graph into an empty store.
    pub seed: bool,
    /// Threads that serve requests (0: one for each core).
    pub workers: usize,
    /// Threads for CPU-heavy work (0: one for each core).
    pub cpu_threads: usize,
    /// Memory of the store's page cache, in MiB.
    pub store_cache_mib: u64,
    /// Memory for finished answers, in MiB.
    pub answer_cache_mib: usize,
    /// Answers whose address outlives a restart; the oldest are the first to go.
    pub permalinks_kept: usize,
    /// Memory for graphs, in MiB; the least recently used ones are dropped and loaded again.
    pub graph_memory_mib: usize,
    /// Largest JSON body, in MiB.
    pub json_limit_mib: usize,
    /// Largest imported file, in MiB.
    pub import_limit_mib: u64,
    /// Longest a job may run.
    pub job_deadline: Duration,
    /// Longest that a question is answered at once; then it goes on as a job.
    pub answer_within: Duration,
    /// Jobs that run at the same time (0: as many as threads for CPU-heavy work).
    pub job_slots: usize,
    /// Jobs of one principal that may wait or run.
    pub jobs_per_principal: usize,
    /// Most memory that the process should use, in MiB; heavier work is refused (0: no budget).
    pub memory_budget_mib: u64,
    /// Runs analyses on Spark: a Python with pyspark, or `spark-submit`. None: no Spark.
    pub spark_python: Option<PathBuf>,
    /// Master of the Spark cluster: `local[*]`, `spark://host:7077`, `yarn`, `k8s://https://...`.
    pub spark_master: String,
    /// Further settings for Spark by name.
    pub spark_conf: BTreeMap<String, String>,
    /// Folder for hand-overs to engines and for their results (default: `exchange` in `data_dir`).
    pub exchange_dir: Option<PathBuf>,
    /// How Spark names that folder, for example `s3a://bucket/exchange` (default: as a file).
    pub exchange_uri: Option<String>,
    /// Seconds that a client has for the head of its request, and may be silent within its body.
    pub request_timeout_seconds: u64,
    /// Seconds that running requests get when the server stops.
    pub shutdown_seconds: u64,
    /// Which credentials are taken; none: everyone may do everything.
    pub auth: Auth,
    /// Issuer of tokens (the `iss` claim).
    pub jwt_issuer: String,
    /// Audience of tokens (the `aud` claim).
    pub jwt_audience: String,
    /// The issuer's JSON Web Key Set: a file or an https address.
    pub jwt_jwks: String,
    /// Claim of a token that holds the role.
    pub jwt_role_claim: String,
    /// Claim of a token that holds roles by graph.
    pub jwt_graphs_claim: String,
    /// Certificate chain (PEM); with `tls_key` the server speaks TLS.
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    pub tls_key: Option<PathBuf>,
    /// Origins of pages that may call the API from a browser (none: only its own).
    pub cors_origins: Vec<String>,
    /// Requests a second of each principal (0: no limit).
    pub rate_limit: u32,
    /// Requests that a principal may send at once.
    pub rate_burst: u32,
    /// Address of an OpenTelemetry collector (OTLP over HTTP); empty: no export.
    pub otlp_endpoint: String,
    /// How log lines look.
    pub log: LogFormat,
    /// What is logged, as `tracing` directives: `info`, `chokepoint=debug`.
    pub log_filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("chokepoint-data"),
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            seed: true,
            workers: 0,
            cpu_threads: 0,
            store_cache_mib: 48,
            answer_cache_mib: 64,
            permalinks_kept: 100_000,
            graph_memory_mib: 4096,
            json_limit_mib: 64,
            import_limit_mib: 4096,
            job_deadline: Duration::from_secs(3600),
            answer_within: Duration::from_secs(30),
            job_slots: 0,
            jobs_per_principal: 64,
            memory_budget_mib: 0,
            spark_python: None,
            spark_master: "local[*]".into(),
            spark_conf: BTreeMap::new(),
            exchange_dir: None,
            exchange_uri: None,
            request_timeout_seconds: 30,
            shutdown_seconds: 30,
            auth: Auth::default(),
            jwt_issuer: String::new(),
            jwt_audience: String::new(),
            jwt_jwks: String::new(),
            jwt_role_claim: "role".into(),
            jwt_graphs_claim: "graphs".into(),
            tls_certificate: None,
            tls_key: None,
            cors_origins: Vec::new(),
            rate_limit: 0,
            rate_burst: 0,
            otlp_endpoint: String::new(),
            log: LogFormat::Pretty,
            log_filter: "info".into(),
        }
    }
}

/// Names of all settings with what they hold, for help texts and errors.
pub const SETTINGS: &[(&str, &str)] = &[
    ("data_dir", "directory of the store"),
    ("bind", "address and port to listen on"),
    ("seed", "true: import the bundled graph into an empty store"),
    ("workers", "threads that serve requests, 0 for one each core"),
    ("cpu_threads", "threads for CPU-heavy work, 0 for one each core"),
    ("store_cache_mib", "page cache of the store in MiB"),
    ("answer_cache_mib", "memory for finished answers in MiB"),
    ("permalinks_kept", "answers whose address outlives a restart; the oldest go first"),
    ("graph_memory_mib", "memory for graphs in MiB; the least recently used are dropped"),
    ("json_limit_mib", "largest JSON body in MiB"),
    ("import_limit_mib", "largest imported file in MiB"),
    ("job_deadline_seconds", "longest a job may run"),
    ("answer_within_seconds", "longest a question is answered at once; then it goes on as a job"),
    ("job_slots", "jobs that run at the same time, 0 for as many as cpu_threads"),
    ("jobs_per_principal", "jobs of one principal that may wait or run"),
    ("memory_budget_mib", "refuse work above this memory in MiB, 0 for no budget"),
    ("spark_python", "Python with pyspark, or spark-submit, that runs analyses on Spark"),
    ("spark_master", "master of the Spark cluster, local[*] unless set"),
    ("spark_conf", "further settings for Spark: name=value, separated by commas"),
    ("exchange_dir", "folder for hand-overs to engines and their results"),
    ("exchange_uri", "how Spark names exchange_dir, for example s3a://bucket/exchange"),
    ("auth", "off, keys, tokens, or keys+tokens"),
    ("jwt_issuer", "issuer of tokens"),
    ("jwt_audience", "audience of tokens"),
    ("jwt_jwks", "key set of the issuer: a file or an https address"),
    ("jwt_role_claim", "claim that holds the role"),
    ("jwt_graphs_claim", "claim that holds roles by graph"),
    ("tls_certificate", "certificate chain (PEM file)"),
    ("tls_key", "private key (PEM file)"),
    ("cors_origins", "origins that may call from a browser, separated by commas"),
    ("rate_limit", "requests a second of each principal, 0 for no limit"),
    ("rate_burst", "requests at once, 0 for rate_limit"),
    ("otlp_endpoint", "address of an OpenTelemetry collector (OTLP over HTTP)"),
    (
        "request_timeout_seconds",
        "time that a client has for the head of its request, and may be silent within its body",
    ),
    ("shutdown_seconds", "time for running requests when the server stops"),
    ("log", "pretty or json"),
    ("log_filter", "what is logged, for example info or chokepoint=debug"),
];

fn number<T>(text: &str, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(n) if n <= most => Ok(n),
        Ok(_) => Err(format!("{text} is too large; at most {most}")),
        Err(_) => Err(format!("\"{text}\" is not a whole number from 0 up")),
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

impl Config {
    /// Checks what only several settings together can get wrong.
    ///
    /// # Errors
    /// The first combination that is not safe or not complete.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong =
            |origin: &str, problem: String| Err(ConfigError { origin: origin.to_owned(), problem });
        if self.auth.is_off() && !self.bind.ip().is_loopback() {
            return wrong(
                "bind",
                format!(
                    "{} can be reached from other machines, but access control is off: everyone \
                     could read, write and delete. Set auth (keys, tokens or keys+tokens), or \
                     listen on 127.0.0.1",
                    self.bind
                ),
            );
        }
        if self.auth.tokens {
            let needed = [
                ("jwt_issuer", &self.jwt_issuer),
                ("jwt_audience", &self.jwt_audience),
                ("jwt_jwks", &self.jwt_jwks),
            ];
            if let Some((name, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
                return wrong(name, "is needed when auth takes tokens".into());
            }
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return wrong("tls_certificate", "and tls_key go together; one is missing".into());
        }
        Ok(())
    }

    /// Sets one setting from text.
    ///
    /// # Errors
    /// An unknown name, or a value that does not fit.
    pub fn set(&mut self, name: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        self.assign(name, text)
            .map_err(|problem| ConfigError { origin: origin.to_owned(), problem })
    }

    fn assign(&mut self, name: &str, text: &str) -> Result<(), String> {
        let text = text.trim();
        match name {
            "data_dir" if text.is_empty() => return Err("the directory is empty".into()),
            "data_dir" => self.data_dir = PathBuf::from(text),
            "bind" => {
                self.bind = text.parse().map_err(|_| {
                    format!("\"{text}\" is no address; write it like 127.0.0.1:8080 or [::1]:8080")
                })?;
            }
            "seed" => {
                self.seed = match text {
                    "true" | "1" | "yes" => true,
                    "false" | "0" | "no" => false,
                    _ => return Err(format!("\"{text}\" is neither true nor false")),
                }
            }
            "workers" => self.workers = number(text, 1024)?,
            "cpu_threads" => self.cpu_threads = number(text, 1024)?,
            "store_cache_mib" => self.store_cache_mib = number(text, 1 << 20)?,
            "answer_cache_mib" => self.answer_cache_mib = number(text, 1 << 20)?,
            "permalinks_kept" => self.permalinks_kept = number(text, 100_000_000)?,
            "graph_memory_mib" => self.graph_memory_mib = number(text, 1 << 22)?,
            "json_limit_mib" => self.json_limit_mib = number(text, 1 << 14)?.max(1),
            "import_limit_mib" => self.import_limit_mib = number(text, 1 << 30)?.max(1),
            "job_deadline_seconds" => {
                self.job_deadline = Duration::from_secs(number(text, 30 * 86_400)?);
            }
            "answer_within_seconds" => {
                self.answer_within = Duration::from_secs(number(text, 86_400)?.max(1));
            }
            "job_slots" => self.job_slots = number(text, 1024)?,
            "jobs_per_principal" => self.jobs_per_principal = number(text, 1 << 16)?.max(1),
            "memory_budget_mib" => self.memory_budget_mib = number(text, 1 << 30)?,
            "spark_python" => self.spark_python = path(text),
            "spark_master" if text.is_empty() => return Err("the master is empty".into()),
            "spark_master" => self.spark_master = text.to_owned(),
            "spark_conf" => {
                let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
                self.spark_conf = pairs
                    .map(|pair| {
                        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                        if name.starts_with("spark.") && !value.is_empty() {
                            return Ok((name.trim().to_owned(), value.trim().to_owned()));
                        }
                        Err(format!(
                            "\"{pair}\" is no setting of Spark; write it like \
                             spark.executor.memory=4g"
                        ))
                    })
                    .collect::<Result<_, String>>()?;
            }
            "exchange_dir" => self.exchange_dir = path(text),
            "exchange_uri" => {
                self.exchange_uri = match text {
                    "" => None,
                    text if text.contains("://") => Some(text.trim_end_matches('/').to_owned()),
                    _ => return Err(format!("\"{text}\" is no address like s3a://bucket/folder")),
                }
            }
            "auth" => {
                self.auth = match text {
                    "off" => Auth::default(),
                    "keys" => Auth { keys: true, tokens: false },
                    "tokens" => Auth { keys: false, tokens: true },
                    "keys+tokens" | "tokens+keys" => Auth { keys: true, tokens: true },
                    _ => {
                        return Err(format!(
                            "\"{text}\" is unknown; use off, keys, tokens or keys+tokens"
                        ));
                    }
                }
            }
            "jwt_issuer" => self.jwt_issuer = text.to_owned(),
            "jwt_audience" => self.jwt_audience = text.to_owned(),
            "jwt_jwks" => {
                let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
                if text.starts_with("http://") && !local.iter().any(|l| text.starts_with(l)) {
                    return Err("keys over plain http can be forged on the way; use https".into());
                }
                self.jwt_jwks = text.to_owned();
            }
            "jwt_role_claim" => self.jwt_role_claim = text.to_owned(),
            "jwt_graphs_claim" => self.jwt_graphs_claim = text.to_owned(),
            "tls_certificate" => self.tls_certificate = path(text),
            "tls_key" => self.tls_key = path(text),
            "cors_origins" => {
                let origins = text.split(',').map(str::trim).filter(|o| !o.is_empty());
                self.cors_origins = origins
                    .map(|origin| {
                        let plain = origin.starts_with("https://") || origin.starts_with("http://");
                        let bare = plain && origin.matches('/').count() == 2;
                        if bare && !origin.contains('*') {
                            return Ok(origin.to_owned());
                        }
                        Err(format!(
                            "\"{origin}\" is no origin; write it like https://example.org, \
                             without a path or wildcard"
                        ))
                    })
                    .collect::<Result<_, String>>()?;
            }
            "rate_limit" => self.rate_limit = number(text, 1 << 24)?,
            "rate_burst" => self.rate_burst = number(text, 1 << 24)?,
            "otlp_endpoint" => {
                if !(text.is_empty() || text.starts_with("http://") || text.starts_with("https://"))
                {
                    return Err(format!(
                        "\"{text}\" is no address; write it like http://127.0.0.1:4318"
                    ));
                }
                self.otlp_endpoint = text.to_owned();
            }
            "request_timeout_seconds" => self.request_timeout_seconds = number(text, 3600)?.max(1),
            "shutdown_seconds" => self.shutdown_seconds = number(text, 3600)?,
            "log" => {
                self.log = match text {
                    "pretty" => LogFormat::Pretty,
                    "json" => LogFormat::Json,
                    _ => return Err(format!("\"{text}\" is unknown; use pretty or json")),
                }
            }
            "log_filter" => {
                text.parse::<tracing_subscriber::EnvFilter>()
                    .map_err(|error| format!("\"{text}\" is no filter: {error}"))?;
                self.log_filter = text.to_owned();
            }
            _ => {
                let known = || SETTINGS.iter().map(|(name, _)| *name);
                return Err(match suggest(name, known()) {
                    Some(near) => {
                        format!("there is no setting \"{name}\"; did you mean {near}?")
                    }
                    None => format!(
                        "there is no setting \"{name}\"; settings are {}",
                        known().collect::<Vec<_>>().join(", ")
                    ),
                });
            }
        }
        Ok(())
    }

    /// Takes settings from the text of a TOML file.
    ///
    /// # Errors
    /// The first line or setting that is wrong.
    pub fn merge_toml(&mut self, text: &str, file: &Path) -> Result<(), ConfigError> {
        let origin = file.display().to_string();
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError {
            origin: origin.clone(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        for (name, value) in &table {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(n) => n.to_string(),
                toml::Value::Boolean(b) => b.to_string(),
                other => {
                    return Err(ConfigError {
                        origin: format!("{origin}, {name}"),
                        problem: format!("a {} does not fit here", other.type_str()),
                    });
                }
            };
            self.set(name, &text, &format!("{origin}, {name}"))?;
        }
        Ok(())
    }

    /// Takes settings from environment variables that start with `CHOKEPOINT_`.
    ///
    /// # Errors
    /// The first variable that is wrong.
    pub fn merge_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix(PREFIX)
                && name != "CONFIG"
            {
                self.set(&name.to_lowercase(), &value, &variable)?;
            }
        }
        Ok(())
    }

    /// All settings: defaults, then `file` (else `CHOKEPOINT_CONFIG`), the environment, flags.
    ///
    /// # Errors
    /// The first setting that is wrong; a file that cannot be read.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let variables: Vec<(String, String)> = variables.into_iter().collect();
        let named = variables.iter().find(|(name, _)| name == "CHOKEPOINT_CONFIG");
        let file = file.map(Path::to_owned).or_else(|| named.map(|(_, file)| file.into()));
        let mut config = Self::default();
        if let Some(file) = file {
            let text = std::fs::read_to_string(&file).map_err(|error| ConfigError {
                origin: file.display().to_string(),
                problem: format!("the configuration cannot be read: {error}"),
            })?;
            config.merge_toml(&text, &file)?;
        }
        config.merge_environment(variables)?;
        for (name, value) in flags {
            config.set(name, value, &format!("--{}", name.replace('_', "-")))?;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file_beats_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "bind = \"127.0.0.1:1\"\nworkers = 3\nlog = \"json\"\n").unwrap();
        let environment = [var("CHOKEPOINT_BIND", "127.0.0.1:2"), var("CHOKEPOINT_SEED", "no")];
        let flags = [("bind", "127.0.0.1:3".to_owned())];
        let config = Config::load(Some(&file), environment, &flags).unwrap();
        assert_eq!(config.bind.port(), 3);
        assert_eq!((config.workers, config.seed, config.log), (3, false, LogFormat::Json));
        assert_eq!(config.json_limit_mib, Config::default().json_limit_mib);
    }

    #[test]
    fn a_bad_value_is_told_with_its_place() {
        let bad = |variables: Vec<(String, String)>| {
            Config::load(None, variables, &[]).unwrap_err().to_string()
        };
        assert!(bad(vec![var("CHOKEPOINT_BIND", "localhost")]).contains("CHOKEPOINT_BIND"));
        assert!(bad(vec![var("CHOKEPOINT_WORKER", "1")]).contains("did you mean workers?"));
        assert!(bad(vec![var("CHOKEPOINT_LOG", "xml")]).contains("pretty or json"));
        let mut config = Config::default();
        let error = config.merge_toml("bind = [1]", Path::new("c.toml")).unwrap_err();
        assert_eq!(error.origin, "c.toml, bind");
        assert!(config.merge_toml("bind == 1", Path::new("c.toml")).is_err());
    }

    #[test]
    fn every_setting_can_be_set() {
        let mut config = Config::default();
        for (name, _) in SETTINGS {
            let value = match *name {
                "bind" => "0.0.0.0:1",
                "seed" => "true",
                "log" => "json",
                "data_dir" => "x",
                "log_filter" => "debug",
                "auth" => "keys+tokens",
                "cors_origins" => "https://a.example, http://localhost:3000",
                "otlp_endpoint" => "http://127.0.0.1:4318",
                "spark_conf" => "spark.executor.memory=4g, spark.executor.cores=2",
                "exchange_uri" => "s3a://bucket/exchange",
                _ => "7",
            };
            config.set(name, value, "test").unwrap();
        }
        assert_eq!(config.import_limit_mib, 7);
    }

    #[test]
    fn an_open_server_stays_on_loopback() {
        let with = |settings: &[(&str, &str)]| {
            let mut config = Config::default();
            for (name, value) in settings {
                config.set(name, value, "test").unwrap();
            }
            config.check().map_err(|error| error.to_string())
        };
        assert!(with(&[]).is_ok());
        assert!(with(&[("bind", "[::1]:80")]).is_ok());
        assert!(with(&[("bind", "0.0.0.0:80")]).unwrap_err().contains("access control is off"));
        assert!(with(&[("bind", "0.0.0.0:80"), ("auth", "keys")]).is_ok());
        assert!(with(&[("auth", "tokens")]).unwrap_err().contains("jwt_issuer"));
        assert!(with(&[("tls_key", "k.pem")]).unwrap_err().contains("one is missing"));
        let mut config = Config::default();
        assert!(config.set("jwt_jwks", "http://idp.example/keys", "test").is_err());
        assert!(config.set("cors_origins", "*", "test").is_err());
    }
}
