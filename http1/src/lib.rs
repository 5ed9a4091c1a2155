//! # HTTP/1.1 for servers, without I/O
//!
//! Octets in, requests out; responses in, octets out. This crate has no sockets, no runtime and no
//! `async`. A server reads octets into a buffer for a decoder, and writes the buffer that an
//! encoder fills.
//!
//! - [`Decoder`] reads a connection as [events](Event): a [`RequestHead`], content without its
//!   framing, and trailers. [`HeadDecoder`] and [`ContentDecoder`] are its two states, for a server
//!   whose own states follow them.
//! - [`ResponseEncoder`] writes the response to a request, whole or its head alone, and interim
//!   responses before. The encoder decides on the framing.
//! - [`ContentEncoder`] writes content with its framing, piece by piece, and its end.
//!
//! A call that the protocol forbids does not compile. Each call moves the decoder and returns it
//! beside its result, so there is no decoder after a [`DecodeError`]. The head of a response moves
//! its encoder, and so does the end of content.
//!
//! Decoding is strict: the decoders refuse input that a proxy in front of the server could read
//! differently. Each [`DecodeError`] names its section of RFC 9110 or RFC 9112. [`Limits`] bound
//! each part of a request, and [`Config`] has the few settings that accept more.
//!
//! ```
//! use bytes::BytesMut;
//! use callgate_http1::{Config, Decoder, DefaultFields, Event, Persistence, ResponseEncoder};
//! use http::{HeaderMap, StatusCode};
//!
//! let mut input = BytesMut::from("HEAD /hello HTTP/1.0\r\n\r\n");
//! let decoder = Decoder::new(Config::default());
//! let (Some(Event::Head(request)), _decoder) = decoder.decode(&mut input)? else {
//!     panic!("the server reads more octets into `input` and decodes again");
//! };
//! assert_eq!(request.target.path(), "/hello");
//!
//! let mut output = BytesMut::new();
//! let encoder = ResponseEncoder::new(&request);
//! let (fields, defaults) = (HeaderMap::new(), DefaultFields::NONE);
//! let persistence =
//!     encoder.encode_whole(StatusCode::OK, &fields, b"hello", defaults, &mut output)?;
//! assert_eq!(output, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n");
//! assert_eq!(persistence, Persistence::Close);
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
