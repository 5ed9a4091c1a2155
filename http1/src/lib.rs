//! # HTTP/1.1 for servers, without I/O
//!
//! Octets in, requests out; responses in, octets out. This crate has no sockets, no runtime and no
//! `async`. A server reads octets into a buffer for a decoder, and writes the buffer that an
//! encoder fills.
//!
//! - [`HeadDecoder`] reads heads: a [`RequestHead`] with its target, its fields and their meaning
//!   for the connection.
//! - [`ContentDecoder`] takes the framing off content, and reads trailers.
//! - [`ResponseEncoder`] writes interim responses and the head of the final response, and decides
//!   on the framing.
//! - [`ContentEncoder`] writes content with its framing, and its end.
//!
//! The decoders and the encoders are the states of a connection. A call that the protocol forbids
//! cannot be written: decoders are moved by each call and come back in what the call returns, and
//! the end of a message takes its encoder away. After a [`DecodeError`], there is no decoder.
//!
//! Decoding is strict: the decoders refuse input that a proxy in front of the server could read
//! differently. Each [`DecodeError`] names its section of RFC 9110 or RFC 9112. [`Limits`] bound
//! each part of a request, and [`Config`] has the few settings that accept more.
//!
//! ```
//! use bytes::BytesMut;
//! use callgate_http1::{
//!     AfterHead, Config, ContentLength, DecodedHead, DefaultFields, HeadDecoder, Persistence,
//!     ResponseEncoder,
//! };
//! use http::{HeaderMap, StatusCode};
//!
//! let mut input = BytesMut::from("HEAD /hello HTTP/1.0\r\n\r\n");
//! let decoder = HeadDecoder::new(Config::default());
//! let DecodedHead::Complete(request, _next) = decoder.decode(&mut input)? else {
//!     panic!("the server reads more octets into `input` and decodes again");
//! };
//! assert_eq!(request.target.path(), "/hello");
//! assert_eq!(request.persistence, Persistence::Close);
//!
//! let mut output = BytesMut::new();
//! let encoder = ResponseEncoder::new(&request);
//! let length = ContentLength::Known(5);
//! let (fields, defaults) = (HeaderMap::new(), DefaultFields::NONE);
//! let after = encoder.encode(StatusCode::OK, &fields, length, defaults, &mut output)?;
//! assert!(matches!(after, AfterHead::End(Persistence::Close)));
//! assert_eq!(output, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory
//!
//! The values of fields and the content are [`bytes::Bytes`] of the read buffer. The buffer's
//! memory is reused by [`bytes::BytesMut::reserve`] when all of them have been dropped. A value
//! that lives long keeps the memory of the whole read buffer, unless it is copied.
//! [`HeadDecoder::reuse`] takes a map that is no longer needed, so that a request of the usual size
//! is decoded without an allocation.

mod config;
mod decode;
mod encode;
mod fields;
mod persistence;

pub use config::{Config, Limits, TargetGrammar};
pub use decode::{
    ContentDecoder, DecodeError, DecodedContent, DecodedHead, Decoder, Event, Expectation,
    HeadDecoder, Next, RequestHead, TargetForm,
};
pub use encode::{
    AfterHead, ContentEncoder, ContentLength, Date, DefaultFields, EncodeError, FieldLines, Frame,
    ResponseEncoder,
};
pub use persistence::Persistence;

/// The examples of the README are compiled and run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
