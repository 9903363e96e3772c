//! Replays a log on a network, in as few passes as the log allows.
//!
//! Applying one batch costs a pass over the whole network, so batches are joined while joining
//! them cannot change the outcome, and the joined run is applied once. Where the order of two
//! batches matters in a way that one batch cannot express (a node deleted and made anew, a flow
//! written under two names of one product), the run ends between them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::error::StoreError;
use crate::model::change::{Change, RecordKey};
use crate::model::network::Network;
use crate::model::record::Record;

/// How a flow was written: with its product, or leaving it to the supplier.
type Written = Option<String>;

/// The network so far and the run of batches that is not yet applied to it.
pub(super) struct Replay {
    network: Network,
    run: Vec<Change>,
    /// Flows touched in the run, and how each was written (`None`: in more than one way).
    flows: FxHashMap<(String, String), Option<Written>>,
    /// Nodes that are ends of those flows.
    ends: FxHashSet<String>,
    /// Suppliers of those flows.
    suppliers: FxHashSet<String>,
    deleted: FxHashSet<String>,
    /// Product of each node put in the run.
    products: FxHashMap<String, String>,
    /// Nodes whose product changed in the run.
    renamed: FxHashSet<String>,
}

impl Replay {
    /// Starts at `network`.
    pub(super) fn new(network: Network) -> Self {
        Self {
            network,
            run: Vec::new(),
            flows: FxHashMap::default(),
            ends: FxHashSet::default(),
            suppliers: FxHashSet::default(),
            deleted: FxHashSet::default(),
            products: FxHashMap::default(),
            renamed: FxHashSet::default(),
        }
    }

    /// Adds one batch.
    ///
    /// # Errors
    /// Corrupt, if a batch that was once accepted does not apply.
    pub(super) fn push(&mut self, mut batch: Vec<Change>) -> Result<(), StoreError> {
        for change in &mut batch {
            // The batch was accepted, so the node had no flows left by then. In a joined run they
            // may go only now, with a node that was detached before.
            if let Change::Delete(RecordKey::Node { detach, .. }) = change {
                *detach = true;
            }
        }
        if !self.run.is_empty() && !self.joins(&batch) {
            self.flush()?;
        }
        self.note(&batch);
        self.run.extend(batch);
        Ok(())
    }

    /// The network after all batches.
    pub(super) fn finish(mut self) -> Result<Network, StoreError> {
        self.flush()?;
        Ok(self.network)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.run.is_empty() {
            return Ok(());
        }
        self.network = self.network.apply(&self.run).map_err(|e| {
            StoreError::corrupt(format!("the log does not apply to its base ({e})"))
        })?;
        self.run.clear();
        self.flows.clear();
        self.ends.clear();
        self.suppliers.clear();
        self.deleted.clear();
        self.products.clear();
        self.renamed.clear();
        Ok(())
    }

    /// True if `run` and then `batch` is the same as both in one batch.
    fn joins(&self, batch: &[Change]) -> bool {
        let flow = |from: &str, to: &str, product: &Written| {
            let same = match self.flows.get(&(from.to_owned(), to.to_owned())) {
                None => true,
                Some(written) => written.as_ref() == Some(product),
            };
            same && !self.renamed.contains(from)
                && !self.deleted.contains(from)
                && !self.deleted.contains(to)
        };
        batch.iter().all(|change| match change {
            Change::Put(Record::Flow(f)) => flow(&f.from, &f.to, &f.product),
            Change::Delete(RecordKey::Flow(f)) => flow(&f.from, &f.to, &f.product),
            Change::Put(Record::Node(n)) => {
                let product = n.product.as_deref().unwrap_or(&n.id);
                !self.deleted.contains(&n.id)
                    && (!self.suppliers.contains(&n.id)
                        || self.product(&n.id).is_none_or(|known| known == product))
            }
            Change::Delete(RecordKey::Node { id, .. }) => !self.ends.contains(id),
            Change::Put(Record::Requirement(_)) => true,
            Change::Delete(RecordKey::Requirement { .. }) => true,
        })
    }

    /// Product of a node at the end of the run, if the node exists.
    fn product(&self, id: &str) -> Option<&str> {
        self.products.get(id).map(String::as_str).or_else(|| {
            let index = self.network.node_index(id)?;
            Some(self.network.symbols.name(self.network.nodes.product[index as usize]))
        })
    }

    fn note(&mut self, batch: &[Change]) {
        for change in batch {
            let (from, to, product) = match change {
                Change::Put(Record::Flow(f)) => (&f.from, &f.to, &f.product),
                Change::Delete(RecordKey::Flow(f)) => (&f.from, &f.to, &f.product),
                Change::Put(Record::Node(n)) => {
                    let product = n.product.clone().unwrap_or_else(|| n.id.clone());
                    if self.product(&n.id).is_some_and(|known| known != product) {
                        self.renamed.insert(n.id.clone());
                    }
                    self.products.insert(n.id.clone(), product);
                    continue;
                }
                Change::Delete(RecordKey::Node { id, .. }) => {
                    self.deleted.insert(id.clone());
                    continue;
                }
                Change::Put(Record::Requirement(_))
                | Change::Delete(RecordKey::Requirement { .. }) => continue,
            };
            self.ends.insert(from.clone());
            self.ends.insert(to.clone());
            self.suppliers.insert(from.clone());
            self.flows
                .entry((from.clone(), to.clone()))
                .and_modify(|written| {
                    if written.as_ref() != Some(product) {
                        *written = None;
                    }
                })
                .or_insert_with(|| Some(product.clone()));
        }
    }
}
