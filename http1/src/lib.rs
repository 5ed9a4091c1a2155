//! HTTP/1.1 for servers without I/O.

mod config;
mod decode;
mod encode;
mod fields;
mod persistence;

pub use config::{Config, Limits, TargetGrammar};
pub use decode::{
    ContentDecoder, DecodeError, DecodedContent, DecodedHead, Expectation, HeadDecoder, Next,
    RequestHead, TargetForm,
};
pub use encode::{
    AfterHead, ContentEncoder, ContentLength, Date, EncodeError, Frame, ResponseEncoder,
};
pub use persistence::Persistence;
