//! How the next version of a graph comes to be in memory: two snapshots that take turns.
//!
//! The writer works a small change into the snapshot that was current before the last one, brings
//! it up to date and publishes it; the one that it replaces becomes the next to be written. So a
//! small change of a large graph costs a few block moves, and readers keep whole, immutable
//! snapshots. Where a reader still holds the old one, the new one starts as a clone that shares
//! every column that the change does not touch.

use std::sync::Arc;

use crate::graph::{Snapshot, SnapshotInfo};
use crate::model::network::Edit;

/// Changes of more than one record in so many are worked in by building the indexes anew.
const REBUILD_SHARE: usize = 8;

/// The snapshot that was replaced last, and what was done to it since.
#[derive(Debug, Default)]
pub struct Spare(Option<Behind>);

#[derive(Debug)]
struct Behind {
    snapshot: Arc<Snapshot>,
    /// What brings it up to date; done already if absent.
    edit: Option<Arc<Edit>>,
    info: SnapshotInfo,
}

impl Spare {
    /// Forgets the spare snapshot: the graph was replaced or is no longer in memory.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The version that `edit` makes of `current`.
    pub fn next(
        &mut self,
        current: &Arc<Snapshot>,
        edit: Edit,
        info: SnapshotInfo,
    ) -> Arc<Snapshot> {
        let rows = current.node_count() + current.flow_count();
        if edit.len() > rows / REBUILD_SHARE {
            self.0 = None;
            let mut network = current.network().clone();
            network.edit(&edit);
            return Arc::new(Snapshot::build(network, info, current.countries().clone()));
        }
        let mut next = self
            .0
            .take()
            .and_then(Behind::up_to_date)
            .filter(|spare| spare.info().version == current.info().version)
            .unwrap_or_else(|| Snapshot::clone(current));
        next.share(current);
        next.edit(&edit, info.clone());
        self.0 = Some(Behind { snapshot: current.clone(), edit: Some(Arc::new(edit)), info });
        Arc::new(next)
    }

    /// Brings the spare snapshot up to date, if no reader holds it: done between writes, so that
    /// the next one need not.
    pub fn catch_up(&mut self) {
        let Some(behind) = self.0.take() else { return };
        let Behind { snapshot, edit, info } = behind;
        self.0 = Some(match Arc::try_unwrap(snapshot) {
            Ok(own) => {
                let own = worked_in(own, edit.as_deref(), &info);
                Behind { snapshot: Arc::new(own), edit: None, info }
            }
            Err(snapshot) => Behind { snapshot, edit, info },
        });
    }

    /// True if the next version would start as a copy of the current one.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Keeps `own`, a copy of the newest version that shares nothing, for the next one.
    pub fn keep(&mut self, own: Snapshot) {
        let info = own.info().clone();
        self.0 = Some(Behind { snapshot: Arc::new(own), edit: None, info });
    }

    /// Bytes on the heap, shared columns included.
    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |behind| behind.snapshot.heap_bytes())
    }
}

impl Behind {
    fn up_to_date(self) -> Option<Snapshot> {
        let own = Arc::try_unwrap(self.snapshot).ok()?;
        Some(worked_in(own, self.edit.as_deref(), &self.info))
    }
}

fn worked_in(mut own: Snapshot, edit: Option<&Edit>, info: &SnapshotInfo) -> Snapshot {
    if let Some(edit) = edit {
        own.edit(edit, info.clone());
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, FlowRecord, Network, NodeRecord};

    fn info(version: u64) -> SnapshotInfo {
        SnapshotInfo { version, ..SnapshotInfo::default() }
    }

    #[test]
    fn versions_are_right_whether_readers_hold_them_or_not() {
        let nodes: Vec<Change> = (0..50).map(|i| NodeRecord::new(format!("n{i}")).into()).collect();
        let network = Network::default().apply(&nodes).unwrap();
        let mut current = Arc::new(Snapshot::build(network, info(0), Default::default()));
        let mut spare = Spare::default();
        let mut held: Vec<Arc<Snapshot>> = Vec::new();
        for version in 1..=40u64 {
            let (from, to) = (format!("n{}", version % 7), format!("n{}", version % 11));
            let changes = [FlowRecord::new(from, to, version as f64).into()];
            let expected = current.network().apply(&changes).unwrap();
            let mut draft = current.draft();
            draft.push(&changes).unwrap();
            let edit = draft.finish();
            let next = spare.next(&current, edit, info(version));
            assert!(next.network().records().eq(expected.records()));
            assert_eq!(next.info().version, version);
            // Readers hold every third version for ever, every fifth for a while.
            if version % 3 == 0 {
                held.push(current);
            } else if version % 5 == 0 {
                let short = current;
                spare.catch_up();
                assert_eq!(short.info().version, version - 1);
            }
            current = next;
            spare.catch_up();
        }
        for (k, snapshot) in held.iter().enumerate() {
            assert_eq!(snapshot.info().version, 3 * k as u64 + 2);
            let largest = snapshot.quantities().iter().copied().fold(0.0, f64::max);
            assert_eq!(largest, snapshot.info().version as f64);
        }
    }
}
