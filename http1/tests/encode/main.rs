//! What the encoder writes, and what it does not let its caller write.

#[path = "../reading/mod.rs"]
mod reading;

mod content;
mod heads;
mod interim;
mod round_trip;
mod support;
mod whole;
