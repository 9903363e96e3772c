//! The Spark engine: a child process that runs the checked-in job over a hand-over.
//!
//! The job gets one JSON file and answers on its standard output, one JSON object a line
//! (`{"progress": 0.4}`, `{"error": "..."}`); everything else it says goes to a log. It leads a
//! process group of its own, so that stopping it stops all that it started on this machine.
//! Lost workers are Spark's business: tasks are tried again, checkpoints lie in the exchange
//! folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::{Value, json};

use super::manifest::{ExchangeError, Manifest};
use super::{
    Connection, Engine, EngineAnalysis, EngineOptions, EngineView, Limits, LinkWeight, Reach, Task,
    hand_over,
};
use crate::analysis::Progress;
use crate::model::scenario::{Mode, RationingRule, StopRule, Substitution};
use crate::service::catalogue::lock;
use crate::service::{Service, ServiceError};

/// The job. It also runs alone: `spark-submit spark_job.py arguments.json`.
const JOB: &str = include_str!("spark_job.py");
/// Lines of a failed run's log in its problem.
const LOG_LINES: usize = 40;
/// Bytes at the end of a log that are looked at.
const LOG_BYTES: u64 = 64 << 10;
/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What a run gets to end by itself before it is ended.
const GRACE: Duration = Duration::from_secs(3);
/// Parts of the progress that the hand-over and the run take, of 1000.
const HANDED_OVER: u64 = 100;
const RAN: u64 = 980;

/// Spark, as found at start.
#[derive(Debug, Clone)]
pub struct Spark {
    program: PathBuf,
    options: EngineOptions,
    versions: BTreeMap<String, String>,
}

/// A line that the job says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    progress: Option<f64>,
    error: Option<String>,
}

impl Spark {
    /// Looks for Spark with the program that is set.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn find(options: &EngineOptions) -> Result<Self, String> {
        let Some(program) = options.spark_python.clone() else {
            return Err("spark_python is not set".into());
        };
        let submits = is_submit(&program);
        let ask: &[&str] = if submits {
            &["--version"]
        } else {
            &[
                "-c",
                "import platform, pyspark; print(pyspark.__version__, platform.python_version())",
            ]
        };
        let shown = program.display();
        let asked = Command::new(&program).args(ask).stdin(Stdio::null()).output();
        let output = asked.map_err(|error| format!("{shown} cannot be run: {error}"))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let text = if submits { said(&output.stderr) } else { said(&output.stdout) };
        if !output.status.success() {
            let text = said(&output.stderr);
            let last = text.lines().last().unwrap_or_default();
            return Err(format!("{shown} has no pyspark: {last}"));
        }
        let mut words = text.split_whitespace();
        let mut versions = BTreeMap::new();
        if submits {
            let version = words.skip_while(|w| *w != "version").nth(1).unwrap_or("unknown");
            versions.insert("spark".to_owned(), version.to_owned());
        } else {
            for name in ["spark", "python"] {
                versions.insert(name.to_owned(), words.next().unwrap_or("unknown").to_owned());
            }
        }
        Ok(Self { program, options: options.clone(), versions })
    }

    /// Version of Spark.
    pub fn version(&self) -> &str {
        self.versions.get("spark").map_or("unknown", String::as_str)
    }

    /// How Spark names a path of the exchange folder.
    fn uri(&self, path: &Path) -> String {
        if let (Some(uri), Some(base)) = (&self.options.exchange_uri, &self.options.exchange)
            && let Ok(below) = path.strip_prefix(base)
        {
            return format!("{uri}/{}", below.display());
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!("file://{}", absolute.display())
    }

    /// What the job is told.
    fn arguments(&self, task: &Task) -> Value {
        let analysis = match &task.analysis {
            EngineAnalysis::Impacts { model, .. } => json!({
                "name": "impacts",
                "scenarios": task.shocks.len(),
                "downstream": model.direction.downstream(),
                "upstream": model.direction.upstream(),
                "tolerance": model.stop.tolerance.unwrap_or(1e-12),
                "max_sweeps": model.max_sweeps,
            }),
            EngineAnalysis::Pagerank { damping, tolerance, weight } => json!({
                "name": "pagerank", "damping": damping, "tolerance": tolerance,
                "weighted": *weight == LinkWeight::Quantity,
            }),
            EngineAnalysis::Components { kind } => json!({
                "name": "components", "strong": *kind == Connection::Strong,
            }),
            EngineAnalysis::Reachability { direction, .. } => json!({
                "name": "reachability", "upstream": *direction == Reach::Upstream,
            }),
            EngineAnalysis::Degree {} => json!({"name": "degree"}),
            EngineAnalysis::Strength {} => json!({"name": "strength"}),
            EngineAnalysis::Concentration {} => json!({"name": "concentration"}),
        };
        json!({
            "schema": super::manifest::SCHEMA,
            "id": task.id,
            "master": self.options.spark_master,
            "conf": self.options.spark_conf,
            "input": self.uri(&task.folder.join("input")),
            "output": self.uri(&task.result()),
            "checkpoints": self.uri(&task.folder.join("checkpoints")),
            "parent": std::process::id(),
            "analysis": analysis,
        })
    }

    /// Starts the job in a process group of its own.
    fn start(&self, task: &Task) -> Result<Child, ExchangeError> {
        let script = task.folder.join("job.py");
        std::fs::write(&script, JOB).map_err(ExchangeError::io(&script))?;
        let arguments = task.folder.join("arguments.json");
        let text = self.arguments(task).to_string();
        std::fs::write(&arguments, text).map_err(ExchangeError::io(&arguments))?;
        let log = task.folder.join("log.txt");
        let file = File::create(&log).map_err(ExchangeError::io(&log))?;
        let mut command = Command::new(&self.program);
        if !is_submit(&self.program) {
            // Executors run the same Python as the driver.
            command.env("PYSPARK_PYTHON", &self.program);
        }
        command
            .arg(&script)
            .arg(&arguments)
            .current_dir(&task.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(ExchangeError::io(&self.program))
    }

    /// Waits for the job; stops it if it is cancelled or takes too long.
    fn wait(
        &self,
        child: &mut Child,
        task: &Task,
        progress: &Progress,
        error: &Mutex<Option<String>>,
    ) -> Result<ExitStatus, ServiceError> {
        let end = task.timeout.map(|timeout| Instant::now() + timeout);
        let out = child.stdout.take();
        std::thread::scope(|threads| {
            if let Some(out) = out {
                threads.spawn(move || listen(out, task, progress, error));
            }
            loop {
                let waited = child.try_wait().map_err(ExchangeError::io(&self.program));
                match waited {
                    Ok(Some(status)) => {
                        // Nothing that it started outlives it.
                        stop_group(child, Signal::KILL);
                        return Ok(status);
                    }
                    Ok(None) => {}
                    Err(problem) => {
                        stop(child);
                        return Err(problem.into());
                    }
                }
                if let Err(cancelled) = progress.check() {
                    stop(child);
                    return Err(cancelled.into());
                }
                if end.is_some_and(|end| Instant::now() > end) {
                    stop(child);
                    let seconds = task.timeout.unwrap_or_default().as_secs();
                    return Err(ServiceError::Deadline { seconds });
                }
                std::thread::sleep(LOOK);
            }
        })
    }
}

fn is_submit(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("spark-submit"))
}

/// Reads what the job says until it says no more.
fn listen(out: impl Read, task: &Task, progress: &Progress, error: &Mutex<Option<String>>) {
    let mut done = HANDED_OVER;
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        let Ok(said) = serde_json::from_str::<Said>(&line) else {
            tracing::debug!(id = task.id, line, "spark says");
            continue;
        };
        if let Some(fraction) = said.progress {
            let share = fraction.clamp(0.0, 1.0) * (RAN - HANDED_OVER) as f64;
            let now = HANDED_OVER + share as u64;
            if now > done {
                // The loop that waits looks whether to stop.
                let _ = progress.advance(now - done);
                done = now;
            }
        }
        if said.error.is_some() {
            *lock(error) = said.error;
        }
    }
    let _ = progress.advance(RAN - done);
}

fn stop_group(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already: nothing to stop.
        let _ = kill_process_group(pid, signal);
    }
}

/// Ends the job and all that it started: asks first.
fn stop(child: &mut Child) {
    stop_group(child, Signal::TERM);
    let end = Instant::now() + GRACE;
    while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(LOOK);
    }
    stop_group(child, Signal::KILL);
    let _ = child.wait();
}

/// The last lines of a log.
fn tail(path: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let text = read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

impl Engine for Spark {
    fn view(&self) -> EngineView {
        EngineView {
            name: "spark",
            available: true,
            version: Some(format!("spark-{}", self.version())),
            versions: self.versions.clone(),
            reason: None,
            analyses: EngineAnalysis::NAMES.to_vec(),
            limits: Limits { memory_bytes: None, flows: None, timeout_seconds: None },
            notes: vec![
                "impacts: steady state, proportional rationing, no substitution, exact fixed point",
                "worth its start from about 10^8 flows on; see GET /methods/engines",
            ],
        }
    }

    fn refuse(&self, task: &Task) -> Result<(), ServiceError> {
        let EngineAnalysis::Impacts { model, .. } = &task.analysis else { return Ok(()) };
        let settings = &task.snapshot.info().settings;
        let rationing = model.rationing.as_ref().unwrap_or(&settings.rationing);
        let kept = [
            (model.mode != Mode::Steady, "mode", "timelines"),
            (
                rationing.rule != RationingRule::Proportional,
                "rationing",
                "rationing other than proportional, and diverting",
            ),
            (
                model.substitution != Substitution::None,
                "substitution",
                "substitution, headroom and spare capacity",
            ),
            (model.stop.rule != StopRule::Fixpoint, "stop", "the published early stop"),
            (model.compat.is_some(), "compat", "compatibility modes"),
        ];
        match kept.into_iter().find(|(stays, ..)| *stays) {
            None => Ok(()),
            Some((_, option, what)) => Err(ServiceError::Impossible {
                param: Some(format!("analysis.model.{option}")),
                problem: format!("the engine spark does not do {what}"),
                hint: Some(match option {
                    "rationing" => {
                        "set \"rationing\": {\"rule\": \"proportional\"}, or use engine \
                                    local"
                            .into()
                    }
                    _ => "use engine local".into(),
                }),
            }),
        }
    }

    fn run(&self, _: &Service, task: &Task, progress: &Progress) -> Result<Manifest, ServiceError> {
        progress.start(1000);
        let input = task.folder.join("input");
        std::fs::create_dir_all(&input).map_err(ExchangeError::io(&input))?;
        hand_over::write(&input, task, progress)?;
        progress.advance(HANDED_OVER)?;
        let mut child = self.start(task)?;
        let error = Mutex::new(None);
        let status = self.wait(&mut child, task, progress, &error)?;
        if status.success() {
            return Ok(Manifest::read(&task.result())?);
        }
        let log = tail(&task.folder.join("log.txt"));
        let said = lock(&error).take();
        let problem = said.unwrap_or_else(|| format!("it ended with {status}"));
        tracing::warn!(id = task.id, problem, "a run on Spark failed");
        Err(ServiceError::EngineFailed { engine: "spark", problem, log })
    }
}
