//! `chokepoint check`, `backup` and `restore`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

use chokepoint::store::{Store, StoreError, StoreOptions};
use clap::Args;

use super::{Common, Failure, telemetry};

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    common: Common,
}

/// Flags of `backup` and `restore`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    common: Common,
    /// The backup file.
    file: PathBuf,
}

/// Reads and checks every record of the store, also of a damaged one.
pub fn check(args: &StoreArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    require_store(&config.data_dir)?;
    let options = StoreOptions { cache_bytes: config.store_cache_mib << 20, salvage: true };
    let store = Store::open(&config.data_dir, options)?;
    let report = store.check()?;
    for problem in &report.problems {
        eprintln!("{problem}");
    }
    println!(
        "{} graphs, {} versions, {} records, {} documents, {} bytes: {}",
        report.graphs,
        report.versions,
        report.records,
        report.documents,
        report.bytes,
        if report.is_sound() { "sound" } else { "damaged" }
    );
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::Store(StoreError::Corrupt {
        what: format!("{} problems in {}", report.problems.len(), config.data_dir.display()),
        hint: "export what can be read, then restore the last backup".into(),
    }))
}

/// Writes a backup. The file is not there until it is whole.
pub fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    require_store(&config.data_dir)?;
    let path = args.file.display().to_string();
    let failed = |error| Failure::File { path: path.clone(), error };
    if args.file.exists() {
        return Err(Failure::Input(format!("{path} exists; choose another name")));
    }
    let options =
        StoreOptions { cache_bytes: config.store_cache_mib << 20, ..StoreOptions::default() };
    let store = Store::open(&config.data_dir, options)?;
    let mut partial = args.file.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial);
    let mut out = BufWriter::new(file.map_err(failed)?);
    let written = (|| {
        let info = store.backup(&mut out)?;
        out.flush().map_err(failed)?;
        out.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&partial, &args.file).map_err(failed)?;
        Ok::<_, Failure>(info)
    })();
    if written.is_err() {
        // Half a backup is worth nothing.
        let _ = std::fs::remove_file(&partial);
    }
    let info = written?;
    println!("{path}: {} graphs, {} bytes, SHA-256 {}", info.graphs, info.bytes, info.sha256);
    Ok(())
}

/// Restores a backup.
pub fn restore(args: &BackupArgs) -> Result<(), Failure> {
    let config = args.common.settings(Vec::new())?;
    let _telemetry = telemetry::start(&config, true)?;
    let path = args.file.display().to_string();
    let file = File::open(&args.file).map_err(|error| Failure::File { path, error })?;
    let info = Store::restore(&config.data_dir, &mut BufReader::new(file))?;
    println!("restored {} graphs into {}", info.graphs, config.data_dir.display());
    Ok(())
}

/// Refuses a directory that holds no store: these commands make none.
fn require_store(dir: &std::path::Path) -> Result<(), Failure> {
    let there = std::fs::read_dir(dir)
        .map_err(|error| Failure::File { path: dir.display().to_string(), error })?;
    if there.count() > 0 {
        return Ok(());
    }
    Err(Failure::File {
        path: dir.display().to_string(),
        error: std::io::Error::new(std::io::ErrorKind::NotFound, "holds no store"),
    })
}
