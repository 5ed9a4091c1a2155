//! What the decoder reads, and what it refuses. Each test decodes its input in one piece and an
//! octet at a time.

mod content;
mod framing;
mod heads;
mod limits;
mod splits;
mod support;
mod targets;
