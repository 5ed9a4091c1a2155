//! The content of a request, as a transport provides it.

use bytes::Bytes;
use http::StatusCode;
use http_body::Body;

/// The content of a request: any [`Body`] of [`Bytes`].
pub trait Content: Body<Data = Bytes> + Send + Unpin + 'static {}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Content for B {}

/// Returns the status to respond with when content could not be read because of this error; `None`
/// when the client is gone.
pub type ErrorStatus<E> = fn(&E) -> Option<StatusCode>;
