//! Batches drafted together equal one batch after the other, and the codec gives back what it was
//! given.

use proptest::prelude::*;

use super::super::log;
use crate::model::change::{FlowKey, RecordKey};
use crate::model::network::Draft;
use crate::model::{Change, Figure, FigureClass, FlowRecord, Network, NodeRecord};

fn change() -> impl Strategy<Value = Change> {
    let id = || (0u8..4).prop_map(|i| format!("n{i}"));
    let product = || prop::option::of((0u8..2).prop_map(|p| format!("p{p}")));
    let node = (id(), product(), 0u8..9).prop_map(|(id, product, v)| {
        let output = Some(Figure { class: Some(FigureClass::Estimate), ..Figure::bare(v.into()) });
        Change::from(NodeRecord { product, output, ..NodeRecord::new(id) })
    });
    let flow = (id(), id(), product(), 0u8..9).prop_map(|(from, to, product, v)| {
        Change::from(FlowRecord { product, year: Some(-3), ..FlowRecord::new(from, to, v.into()) })
    });
    let delete_node = (id(), any::<bool>())
        .prop_map(|(id, detach)| Change::Delete(RecordKey::Node { id, detach }));
    let delete_flow = (id(), id(), product()).prop_map(|(from, to, product)| {
        Change::Delete(RecordKey::Flow(FlowKey { from, to, product }))
    });
    prop_oneof![4 => node, 6 => flow, 1 => delete_node, 2 => delete_flow]
}

fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
}

proptest! {
    #![proptest_config(crate::laws::cases(3000))]
    #[test]
    fn joined_replay_equals_one_by_one(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..25),
    ) {
        let mut network = Network::default();
        let empty = Network::default();
        let mut draft = Draft::new(&empty);
        for batch in batches {
            let Ok(next) = network.apply(&batch) else { continue };
            network = next;
            let bytes = log::encode_batch(&batch);
            let decoded = log::decode_batch(&bytes).unwrap();
            prop_assert_eq!(&decoded, &batch);
            draft.push(&decoded).unwrap();
        }
        let edit = draft.finish();
        let mut joined = empty.clone();
        joined.edit(&edit);
        prop_assert_eq!(lines(&joined), lines(&network));
    }

    #[test]
    fn cut_or_foreign_bytes_are_an_error_not_a_panic(
        batch in prop::collection::vec(change(), 1..4),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = log::encode_batch(&batch);
        prop_assert!(log::decode_batch(&bytes[..cut.index(bytes.len())]).is_err());
        let _ = log::decode_batch(&noise);
        let mut record = Vec::new();
        log::append_batch(&mut record, &bytes);
        record.truncate(cut.index(record.len()));
        prop_assert!(record.is_empty() || log::batches(&record).any(|b| b.is_err()));
    }
}
