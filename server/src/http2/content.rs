//! The content of a request, which hyper reads.

use std::error::Error as _;
use std::io;

use http::StatusCode;
use hyper::body::Incoming;

/// The content of a request.
pub(super) type RequestContent = Incoming;

/// Returns the status of the response to malformed content; `None` for content that was cut short.
pub(super) fn status_for(error: &hyper::Error) -> Option<StatusCode> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
    .then_some(StatusCode::BAD_REQUEST)
}
