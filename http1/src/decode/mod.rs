//! Octets in, requests out.

mod authority;
mod chunk_line;
mod content_decoder;
mod decoder;
mod error;
mod field_line;
mod field_name;
mod head;
mod head_decoder;
mod head_reader;
mod places;
mod request_line;
mod section;
mod semantics;
mod target;
mod trailers;

pub use content_decoder::{ContentDecoder, DecodedContent};
pub use decoder::{Decoder, Event};
pub use error::DecodeError;
pub use head::{Expectation, RequestHead, TargetForm};
pub use head_decoder::{DecodedHead, HeadDecoder, Next};
