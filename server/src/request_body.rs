//! The content of a request that cannot be read.

use std::error::Error as _;
use std::io;

use http::StatusCode;

/// The answer to content that could be read but not understood, as opposed to cut short.
pub(crate) fn judge(error: &hyper::Error) -> Option<StatusCode> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
    .then_some(StatusCode::BAD_REQUEST)
}
