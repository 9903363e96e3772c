//! Configuration: defaults, then a TOML file, then the environment, then flags.
//!
//! Every setting has one name: `data_dir` in the file, `CHOKEPOINT_DATA_DIR` in the environment,
//! `--data-dir` as a flag. All four go through [`Config::set`], so a bad value gives the same one
//! error wherever it stands.

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
    /// Memory for graphs, in MiB; the least recently used ones are dropped and loaded again.
    pub graph_memory_mib: usize,
    /// Largest JSON body, in MiB.
    pub json_limit_mib: usize,
    /// Largest imported file, in MiB.
    pub import_limit_mib: u64,
    /// Longest a job may run.
    pub job_deadline: Duration,
    /// Seconds that running requests get when the server stops.
    pub shutdown_seconds: u64,
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
            graph_memory_mib: 4096,
            json_limit_mib: 64,
            import_limit_mib: 4096,
            job_deadline: Duration::from_secs(3600),
            shutdown_seconds: 30,
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
    ("graph_memory_mib", "memory for graphs in MiB; the least recently used are dropped"),
    ("json_limit_mib", "largest JSON body in MiB"),
    ("import_limit_mib", "largest imported file in MiB"),
    ("job_deadline_seconds", "longest a job may run"),
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

impl Config {
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
            "graph_memory_mib" => self.graph_memory_mib = number(text, 1 << 22)?,
            "json_limit_mib" => self.json_limit_mib = number(text, 1 << 14)?.max(1),
            "import_limit_mib" => self.import_limit_mib = number(text, 1 << 30)?.max(1),
            "job_deadline_seconds" => {
                self.job_deadline = Duration::from_secs(number(text, 30 * 86_400)?);
            }
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
                _ => "7",
            };
            config.set(name, value, "test").unwrap();
        }
        assert_eq!(config.import_limit_mib, 7);
    }
}
