//! The output of a mailbox, piece by piece.

use std::error::Error;
use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

use crate::call::ServerEnd;
use crate::file::FileBody;

/// One piece of output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) content: Piece,
    /// Whether the response ends with this piece.
    pub(crate) is_last: bool,
}

/// The content of a piece of output.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    File(Box<FileBody>),
    Trailers(Box<HeaderMap>),
}

/// The mailbox that yields the output of a streamed response.
pub(crate) trait OutputSource: ServerEnd + fmt::Debug {
    /// Takes the next piece of output. An error means that the response will never be complete.
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>>;

    /// Records that the transport has taken as much content as `content-length` announces, and
    /// takes no more.
    fn content_complete(&self);
}

/// The error of a response that is cut: its end will never come. The cause is the application. The
/// reason has been logged when it arose.
#[derive(Debug)]
pub struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is incomplete: the application did not end it")
    }
}

impl Error for Incomplete {}
