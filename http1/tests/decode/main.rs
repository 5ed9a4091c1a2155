//! What the decoder reads, and what it refuses. Each test decodes its input in one piece and an
//! octet at a time.

#[path = "../reading/mod.rs"]
mod reading;

mod content;
mod events;
mod framing;
mod heads;
mod limits;
mod support;
mod targets;
