//! Applications that stand in for the services which others call, so that each works without a setting.
//!
//! A stand-in answers what the service would answer to these clients, and no more. What it is given
//! is kept in memory.

pub(crate) mod billing;
pub(crate) mod marketplace;
pub(crate) mod shop;
