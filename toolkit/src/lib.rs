//! # Callgate: the toolkit
//!
//! What authors of applications reach for, beyond scope, receiver and sender. Each part stands alone,
//! and all of them work on any server:
//!
//! | Module | What it has | Feature |
//! | --- | --- | --- |
//! | [`lifespan`] | Start-up and shutdown, driven from inside a program | |
//! | [`test_client`] | Any application driven in process, without a socket | `test-client` |
//! | [`transcript`] | The events of an exchange, for a person to read | |
//!
//! The features `file`, `form` and `json` are on by default. It is not a framework: routing beyond
//! prefixes, extractors and validation are those of other crates.
//!

mod call;

pub mod lifespan;
#[cfg(feature = "test-client")]
pub mod test_client;
pub mod transcript;
