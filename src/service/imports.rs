//! Imports: a file that arrives in chunks becomes one version of a graph, or nothing.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use super::error::ServiceError;
use super::graphs::WriteContext;
use super::jobs::{Estimate, Job};
use super::memory::{MemoryBudget, machine_bytes, snapshot_bytes};
use super::reference::{BUNDLED_GRAPH, Reference};
use super::writer::Write;
use crate::dataset::formats::{Format, ImportError, ImportOptions, ImportReport, Importer};
use crate::graph::Snapshot;
use crate::store::DocumentKind;

/// What an import does with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// The file becomes the whole content.
    #[default]
    Replace,
    /// Records of the file are added or replace those of the same key.
    Merge,
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Graph to write to.
    pub graph: String,
    /// Check only, write nothing.
    pub dry_run: bool,
    /// What happens to what is there.
    pub mode: ImportMode,
    /// Leave bad rows out instead of refusing the file.
    pub skip_bad_rows: bool,
    /// Author, message, `If-Match`.
    pub context: WriteContext,
}

/// What an import did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Imported {
    /// Graph.
    pub graph: String,
    /// Version after the import; unchanged by a dry run or a refused file.
    pub version: u64,
    /// True if the file was written.
    pub imported: bool,
    /// True if nothing was to be written.
    pub dry_run: bool,
    /// What was read, with every bad row.
    #[serde(flatten)]
    pub report: ImportReport,
}

/// An import that takes chunks as they come.
pub struct Import {
    request: ImportRequest,
    importer: Importer,
    memory: MemoryBudget,
    warned: bool,
}

/// A file that is no network.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file cannot be read at all.
    #[error(transparent)]
    File(#[from] ImportError),
    /// Rows are bad; nothing was written.
    #[error("{} bad rows; nothing was imported", .0.report.problem_count)]
    BadRows(Box<Imported>),
    /// The graph refuses it.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl Service {
    /// Begins an import.
    ///
    /// # Errors
    /// An absent graph; no room for a temporary file.
    pub fn import(&self, request: ImportRequest, format: Format) -> Result<Import, ImportFailure> {
        self.catalogue.entry(&request.graph)?;
        let options = ImportOptions {
            skip_bad_rows: request.skip_bad_rows,
            ..ImportOptions::new(self.catalogue.countries().clone())
        };
        let importer = Importer::new(format, options)?;
        Ok(Import { request, importer, memory: self.memory, warned: false })
    }

    /// Ends an import: builds what the file describes and writes it as one version.
    ///
    /// # Errors
    /// Bad rows (unless skipped), a file that cannot be read, a stale `If-Match`.
    pub async fn finish_import(&self, import: Import) -> Result<Imported, ImportFailure> {
        let base = self.snapshot(&import.request.graph, None).await?;
        let (request, built) =
            self.bulk.run(move || Ok((import.request.clone(), import.build(&base)))).await?;
        let (write, report) = built?;
        match write {
            Some(write) if !request.dry_run => {
                let context = request.context.clone();
                let written = self.write(&request.graph, context, write).await?;
                Ok(imported(&request, written.head.version, true, report))
            }
            write => self.not_written(&request, write.is_some(), report),
        }
    }

    /// As [`Service::finish_import`], for threads that may block.
    ///
    /// # Errors
    /// As [`Service::finish_import`].
    pub fn finish_import_blocking(&self, import: Import) -> Result<Imported, ImportFailure> {
        let base = self.catalogue.load(&import.request.graph, None)?;
        let request = import.request.clone();
        let (write, report) = self.bulk.install(|| import.build(&base))?;
        match write {
            Some(write) if !request.dry_run => {
                let context = request.context.clone();
                let written = self.write_blocking(&request.graph, context, write)?;
                Ok(imported(&request, written.head.version, true, report))
            }
            write => self.not_written(&request, write.is_some(), report),
        }
    }

    /// Ends an import as a job, which gives the address of the report. The file has been read by
    /// then; what is left is to build the network, write and publish it.
    ///
    /// # Errors
    /// Too many jobs; the report of a refused file is kept too.
    pub fn import_job(
        self: &Arc<Self>,
        owner: &Arc<str>,
        import: Import,
    ) -> Result<Arc<Job>, ServiceError> {
        let id = format!("import_{}", uuid::Uuid::now_v7().simple());
        let service = self.clone();
        self.jobs.start(owner, "import", Estimate::default(), move |progress| {
            progress.start(3);
            progress.check()?;
            progress.advance(1)?;
            let done = service.finish_import_blocking(import);
            let location = format!("/v1/imports/{id}");
            let (report, outcome) = match done {
                Ok(imported) => (imported, Ok(location)),
                Err(ImportFailure::BadRows(imported)) => {
                    let refused = ServiceError::Impossible {
                        param: None,
                        problem: format!(
                            "{} bad rows; nothing was imported",
                            imported.report.problem_count
                        ),
                        hint: Some(format!("{location} lists them; on_error=skip leaves them out")),
                    };
                    (*imported, Err(refused))
                }
                Err(ImportFailure::Service(error)) => return Err(error),
                Err(ImportFailure::File(error)) => {
                    let problem = error.to_string();
                    return Err(ServiceError::Impossible { param: None, problem, hint: None });
                }
            };
            let bytes = serde_json::to_vec(&report).map_err(|_| ServiceError::Internal)?;
            service.store.put_document(DocumentKind::JobResult, &id, &bytes)?;
            progress.advance(2)?;
            outcome
        })
    }

    /// The report of an import that ran as a job, as JSON.
    ///
    /// # Errors
    /// An import that never ran as a job.
    pub fn import_report(&self, id: &str) -> Result<Vec<u8>, ServiceError> {
        self.store.get_document(DocumentKind::JobResult, id)?.ok_or_else(|| ServiceError::Absent {
            what: "import",
            name: id.to_owned(),
            hint: Some("the job of an import gives the address of its report".into()),
        })
    }

    fn not_written(
        &self,
        request: &ImportRequest,
        good: bool,
        report: ImportReport,
    ) -> Result<Imported, ImportFailure> {
        let version = self.catalogue.entry(&request.graph)?.head().version;
        let imported = imported(request, version, false, report);
        if good { Ok(imported) } else { Err(ImportFailure::BadRows(Box::new(imported))) }
    }

    /// Imports the bundled graph. Blocks.
    ///
    /// # Errors
    /// A store that fails; a broken bundled graph.
    pub fn seed(&self) -> Result<(), ServiceError> {
        let (network, settings) = Reference::bundled_graph()?;
        let context = WriteContext {
            author: Some("chokepoint".into()),
            message: Some("bundled reference data".into()),
            ..WriteContext::default()
        };
        self.write_blocking(BUNDLED_GRAPH, context.clone(), Write::Create(settings))?;
        self.write_blocking(BUNDLED_GRAPH, context, Write::Replace(Box::new(network)))?;
        tracing::info!(graph = BUNDLED_GRAPH, "imported the bundled graph");
        Ok(())
    }
}

fn imported(
    request: &ImportRequest,
    version: u64,
    imported: bool,
    report: ImportReport,
) -> Imported {
    Imported { graph: request.graph.clone(), version, imported, dry_run: request.dry_run, report }
}

impl Import {
    /// Takes the next bytes. CPU-heavy: call it on the pool for files.
    ///
    /// # Errors
    /// A file that cannot be read at all; a graph that will not fit the memory budget.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), ImportFailure> {
        self.importer.feed(chunk)?;
        let report = self.importer.report();
        let needed = snapshot_bytes(report.nodes, report.flows);
        self.memory.admit(needed)?;
        // Without a budget only the machine is the limit: nothing is refused, but somebody is told.
        if !self.warned && machine_bytes().is_some_and(|bytes| needed > bytes / 2) {
            self.warned = true;
            let mib = needed >> 20;
            tracing::warn!(
                graph = self.request.graph,
                nodes = report.nodes,
                flows = report.flows,
                "the graph will take more than {mib} MiB, over half of this machine's memory; set \
                 memory_budget_mib to refuse such imports"
            );
        }
        Ok(())
    }

    /// What to write, if the rows allow it.
    fn build(self, base: &Arc<Snapshot>) -> Result<(Option<Write>, ImportReport), ImportError> {
        // Merging into nothing is the same as replacing, and cheaper.
        if self.request.mode == ImportMode::Replace || base.node_count() == 0 {
            let (network, report) = self.importer.finish()?;
            return Ok((network.map(|network| Write::Replace(Box::new(network))), report));
        }
        let (changes, report) = self.importer.finish_changes(base.network())?;
        Ok((changes.map(Write::Changes), report))
    }
}
