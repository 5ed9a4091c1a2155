//! Responses in, octets out.

mod content_encoder;
mod date;
mod default_fields;
mod error;
mod head_fields;
mod response_encoder;

pub use content_encoder::{ContentEncoder, Frame};
pub use date::Date;
pub use default_fields::{DefaultFields, FieldLines};
pub use error::EncodeError;
pub use response_encoder::{AfterHead, ContentLength, ResponseEncoder};
