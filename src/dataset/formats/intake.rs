//! Where the records of every format end up: checked, counted, added to a network builder.

use crate::model::{Change, Countries, Network, NetworkBuilder, Record};

use super::report::{ImportError, ImportOptions, ImportReport, RowProblem, shown};

/// Ids and other names may each take this much; their tables count bytes in 32 bits.
const MAX_TEXT_BYTES: usize = (u32::MAX - (64 << 20)) as usize;

/// Collects the records of one file.
#[derive(Debug)]
pub(super) struct Intake {
    pub options: ImportOptions,
    pub report: ImportReport,
    builder: NetworkBuilder,
    /// Entry of the archive being read.
    file: Option<String>,
    /// Entry that the flows came from.
    flow_file: Option<String>,
}

/// Everything about a record that can be checked without the others; country names become codes.
pub(super) fn checked(mut record: Record, countries: &Countries) -> Result<Record, RowProblem> {
    record.check().map_err(|problem| {
        // A check's sentence starts with the field that it is about.
        let field = problem.split([' ', ':']).next().unwrap_or_default().to_owned();
        RowProblem::new(problem).column(field)
    })?;
    if let Record::Node(node) = &mut record
        && let Some(written) = &mut node.country
    {
        if written.len() > 80 {
            let problem = format!("unknown country \"{}\"", shown(written));
            return Err(RowProblem::new(problem).column("country"));
        }
        *written = countries.canonical(written).map_err(|sentence| {
            let problem = match sentence.split_once("; ") {
                Some((problem, hint)) => RowProblem::new(problem).hint(hint),
                None => RowProblem::new(sentence),
            };
            problem.column("country")
        })?;
    }
    Ok(record)
}

impl Intake {
    pub fn new(options: ImportOptions) -> Self {
        Self {
            options,
            report: ImportReport::default(),
            builder: NetworkBuilder::new(),
            file: None,
            flow_file: None,
        }
    }

    /// Names the entry of an archive that the next rows come from.
    pub fn enter_file(&mut self, name: &str) {
        self.file = Some(name.to_owned());
    }

    /// Takes one row: a record that was read and [`checked`], or what was wrong with it.
    pub fn row(&mut self, line: u64, row: Result<Record, RowProblem>) -> Result<(), ImportError> {
        if let Err(problem) = row.and_then(|record| self.add(line, &record)) {
            self.problem(problem.line(line));
        }
        let records = self.report.nodes + self.report.flows + self.report.requirements;
        if records > self.options.limits.records {
            return Err(ImportError::TooLarge(format!(
                "the file holds more than {} records",
                self.options.limits.records
            )));
        }
        Ok(())
    }

    /// Checks and takes one record.
    pub fn record(
        &mut self,
        line: u64,
        record: Result<Record, RowProblem>,
    ) -> Result<(), ImportError> {
        let row = record.and_then(|record| checked(record, &self.options.countries));
        self.row(line, row)
    }

    fn add(&mut self, line: u64, record: &Record) -> Result<(), RowProblem> {
        if self.builder.text_bytes() > MAX_TEXT_BYTES {
            return Err(RowProblem::new("the ids and names of the file take more than 4 GiB"));
        }
        // Rows count from 0, lines from 1.
        let row = line.saturating_sub(1) as usize;
        match record {
            Record::Node(node) => {
                self.builder.add_node(node, row).map_err(|_| {
                    let first = self.builder.declared_in(&node.id).unwrap_or_default();
                    RowProblem::new(format!(
                        "node {} is already in line {}",
                        node.id,
                        u64::from(first) + 1
                    ))
                    .column("id")
                    .hint("give each node once")
                })?;
                self.report.nodes += 1;
            }
            Record::Flow(flow) => {
                self.builder.add_flow(flow, row);
                self.report.flows += 1;
                if self.flow_file != self.file {
                    self.flow_file.clone_from(&self.file);
                }
            }
            Record::Requirement(requirement) => {
                self.builder.add_requirement(requirement).map_err(|problem| {
                    RowProblem::new(problem).column("input").hint("give each pair once")
                })?;
                self.report.requirements += 1;
            }
        }
        Ok(())
    }

    /// Counts a bad row and keeps it if there is room.
    pub fn problem(&mut self, mut problem: RowProblem) {
        self.report.problem_count += 1;
        if self.options.skip_bad_rows {
            self.report.skipped += 1;
        }
        if self.report.problems.len() < self.options.max_problems {
            problem.file = problem.file.or_else(|| self.file.clone());
            self.report.problems.push(problem);
        }
    }

    fn report_dangling(&mut self) {
        let room = self.options.max_problems.saturating_sub(self.report.problems.len());
        let (problems, count) = self.builder.dangling(room);
        self.file = self.flow_file.take();
        for dangling in &problems {
            let (problem, hint) =
                dangling.problem.rsplit_once("; ").unwrap_or((&dangling.problem, ""));
            let missing = problem.rsplit_once(" no node ").map_or("", |(_, id)| id);
            let column =
                if problem.starts_with(&format!("flow {missing}..")) { "from" } else { "to" };
            let problem = RowProblem::new(problem).column(column).hint(hint);
            self.problem(problem.line(dangling.index as u64 + 1));
        }
        let rest = count - problems.len() as u64;
        self.report.problem_count += rest;
        self.report.flows -= count;
        if self.options.skip_bad_rows {
            self.report.skipped += rest;
        }
    }

    fn refused(&self) -> bool {
        self.report.problem_count > 0 && !self.options.skip_bad_rows
    }

    /// The file as a network of its own; none if it has bad rows that are not to be skipped.
    pub fn finish(mut self) -> (Option<Network>, ImportReport) {
        self.report_dangling();
        let network = (!self.refused()).then(|| self.builder.finish_declared());
        (network, self.report)
    }

    /// The file as changes to `base`; its flows may point at nodes of `base`.
    pub fn finish_changes(mut self, base: &Network) -> (Option<Vec<Change>>, ImportReport) {
        let lent = self.builder.lend_nodes(base);
        self.report_dangling();
        if self.refused() {
            return (None, self.report);
        }
        let own = |record: &Record| !matches!(record, Record::Node(n) if lent.contains(&n.id));
        let part = self.builder.finish_declared();
        (Some(part.records().filter(own).map(Change::Put).collect()), self.report)
    }
}
