//! The memory backend under random operations, against the model of the suite.

#[path = "support/operations.rs"]
mod operations;

use callgate_channels::suite::{MemoryHarness, model};
use proptest::prelude::*;

proptest! {
    #![proptest_config(operations::config(100))]

    #[test]
    fn memory_agrees_with_the_model(operations in operations::operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(model::check(&MemoryHarness::new(), &operations));
    }
}
