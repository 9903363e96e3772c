//! `chokepoint import` and `export`: files into the store and back.

use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::PathBuf;

use chokepoint::dataset::formats::{Exporter, Format};
use chokepoint::model::GraphSettings;
use chokepoint::service::graphs::WriteContext;
use chokepoint::service::imports::{ImportFailure, ImportMode, ImportRequest};
use chokepoint::service::writer::Write;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Common, Failure, open, telemetry};

/// Bytes read from a file at a time.
const CHUNK: usize = 1 << 20;

/// What an import does with what is there.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// The file becomes the whole content.
    Replace,
    /// Records of the file are added or replace those of the same key.
    Merge,
}

/// Flags of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    common: Common,
    /// Graph to import into; made if there is none of this name.
    graph: String,
    /// The file: .ndjson, .csv, .csv.zip, .graphml or .json (node-link).
    file: PathBuf,
    /// What happens to what is there.
    #[arg(long, value_enum, default_value = "replace")]
    mode: Mode,
    /// Check and report, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Leave bad rows out instead of refusing the file.
    #[arg(long)]
    skip_bad_rows: bool,
    /// Why, for the log of versions.
    #[arg(long, short)]
    message: Option<String>,
}

/// Imports a file.
pub fn import(args: &ImportArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    let path = args.file.display().to_string();
    let failed = |error| Failure::File { path: path.clone(), error };
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned());
    let format = Format::from_extension(name.as_deref().unwrap_or_default()).ok_or_else(|| {
        Failure::Input(format!(
            "{path}: the format is told by the extension; use .ndjson, .csv, .csv.zip, .graphml or .json"
        ))
    })?;
    let mut file = File::open(&args.file).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let service = open(&config)?;
    service.start(false)?;
    let context = WriteContext { message: args.message.clone(), ..WriteContext::default() };
    let new = service.catalogue.entry(&args.graph).is_err();
    if new {
        let create = Write::Create(GraphSettings::default());
        service.write_blocking(&args.graph, context.clone(), create)?;
    }
    let request = ImportRequest {
        graph: args.graph.clone(),
        dry_run: args.dry_run,
        mode: match args.mode {
            Mode::Replace => ImportMode::Replace,
            Mode::Merge => ImportMode::Merge,
        },
        skip_bad_rows: args.skip_bad_rows,
        context,
    };
    let outcome = (|| {
        let mut import = service.import(request, format)?;
        let bar = progress_bar(size);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                break;
            }
            service.pool.install(|| import.feed(&chunk[..read]))?;
            bar.inc(read as u64);
        }
        bar.finish_and_clear();
        Ok::<_, Failure>(service.finish_import_blocking(import))
    })();
    let refused = !matches!(outcome, Ok(Ok(_)));
    if new && (refused || args.dry_run) {
        // Nothing half-written: the graph was made for this import.
        service.write_blocking(&args.graph, WriteContext::default(), Write::Delete)?;
    }
    let done = match outcome? {
        Ok(done) => done,
        Err(ImportFailure::BadRows(report)) => {
            for problem in &report.report.problems {
                eprintln!("{path}: {problem}");
            }
            return Err(Failure::Input(format!(
                "{path}: {} bad rows; nothing was imported (correct them, or use --skip-bad-rows)",
                report.report.problem_count
            )));
        }
        Err(other) => return Err(other.into()),
    };
    let report = &done.report;
    for problem in &report.problems {
        eprintln!("{path}: {problem}");
    }
    let what = if done.dry_run { "would import" } else { "imported" };
    println!(
        "{what} {} nodes, {} flows, {} requirements into {} (version {}){}",
        report.nodes,
        report.flows,
        report.requirements,
        done.graph,
        done.version,
        if report.skipped > 0 {
            format!(", left out {} bad rows", report.skipped)
        } else {
            String::new()
        }
    );
    Ok(())
}

/// A bar that appears only on a terminal, and only if the work takes long.
fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let template = "{bar:40} {bytes}/{total_bytes} {elapsed} {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    /// Graph to export.
    graph: String,
    /// The file: .ndjson, .csv.zip, .graphml, .json (node-link) or .neo4j.zip; `-` writes NDJSON
    /// to the terminal.
    file: PathBuf,
    /// Version (default: the newest).
    #[arg(long)]
    at: Option<u64>,
}

/// Exports a graph.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    let path = args.file.display().to_string();
    let failed = |error| Failure::File { path: path.clone(), error };
    let to_stdout = path == "-";
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned());
    let format = if to_stdout {
        Format::Ndjson
    } else {
        Format::from_extension(name.as_deref().unwrap_or_default())
            .filter(|format| *format != Format::Csv)
            .ok_or_else(|| {
                Failure::Input(format!(
                    "{path}: the format is told by the extension; use .ndjson, .csv.zip, .graphml, .json or .neo4j.zip"
                ))
            })?
    };
    let service = open(&config)?;
    let snapshot = service.catalogue.load(&args.graph, args.at)?;
    let title = snapshot.info().settings.title.as_deref();
    let exporter = Exporter::new(format, snapshot.network(), title);
    if to_stdout {
        let mut out = std::io::stdout().lock();
        for chunk in exporter {
            out.write_all(&chunk).map_err(failed)?;
        }
        return out.flush().map_err(failed);
    }
    let mut out = BufWriter::new(File::create(&args.file).map_err(failed)?);
    for chunk in exporter {
        out.write_all(&chunk).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    println!(
        "exported {} nodes and {} flows of {} (version {}) to {path}",
        snapshot.node_count(),
        snapshot.flow_count(),
        args.graph,
        snapshot.info().version
    );
    Ok(())
}
