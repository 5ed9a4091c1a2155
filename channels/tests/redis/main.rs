//! The rules of the channel layer with the Redis backend, also while the Redis fails.
//!
//! `cargo xtask redis cargo test -p callgate-channels --all-features` starts a Redis for these tests.

mod cluster;
mod faults;
mod harness;
mod load;
mod model;
mod outages;
mod sentinel;
mod server;
mod tls;

use crate::harness::RedisHarness;

callgate_channels::suite_tests!(RedisHarness::new());
callgate_channels::suite_process_tests!(RedisHarness::new());
