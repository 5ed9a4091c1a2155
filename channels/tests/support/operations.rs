//! Random operations for the model of the suite.

use callgate_channels::suite::model::Operation;
use proptest::prelude::*;

pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_time: 30_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..80)
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (4..60usize).prop_map(Operation::Publish),
        1 => Just(Operation::Subscribe),
        1 => (0..50usize).prop_map(Operation::SubscribeFrom),
        3 => (0..10usize).prop_map(Operation::Read),
        1 => (0..10usize).prop_map(Operation::Reconnect),
        1 => (0..10usize).prop_map(Operation::Leave),
    ]
}
