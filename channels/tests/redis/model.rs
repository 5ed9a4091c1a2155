//! The Redis backend under random operations, against the model of the suite.

use callgate_channels::suite::model;
use proptest::prelude::*;

use crate::harness::RedisHarness;

#[path = "../support/operations.rs"]
mod operations;

proptest! {
    #![proptest_config(operations::config(6))]

    #[test]
    fn redis_agrees_with_the_model(operations in operations::operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(model::check(&RedisHarness::new(), &operations));
    }
}
