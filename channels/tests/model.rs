//! The memory backend under random operations, against the model of the suite.

use callgate_channels::suite::MemoryHarness;
use callgate_channels::suite::model::{self, Operation};
use proptest::prelude::*;

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_time: 30_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_agrees_with_the_model(operations in prop::collection::vec(operation(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(model::check(&MemoryHarness::new(), &operations));
    }
}
