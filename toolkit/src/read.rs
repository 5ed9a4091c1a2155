//! Reading a request: its content, its query, its cookies.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::{errors, read, respond};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Page {
//!     #[serde(default)]
//!     number: u32,
//! }
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     product: String,
//! }
//!
//! async fn orders(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     let page: Page = read::query(&scope)?;
//!     let order: Order = read::json(&scope, &mut receiver, 64 * 1024).await?;
//!     let text = format!("{} is on page {}\n", order.product, page.number);
//!     respond::text(text).send(&sender).await
//! }
//!
//! // A request that cannot be read gets a response with the status of the error.
//! let app = errors::handle(orders);
//! ```
//!
//! Each function that reads content takes a limit in bytes, because the protocol does not bound what
//! a client may send. Each error has a [status](ReadError::status) and converts into an
//! [`AppError`](callgate::AppError) with `?`; [`errors::handle`](crate::errors::handle) makes a
//! response of it.

pub(crate) mod error;
#[cfg(any(feature = "json", feature = "form", feature = "multipart"))]
pub(crate) mod head;

use bytes::{Bytes, BytesMut};
#[cfg(any(feature = "json", feature = "form", feature = "multipart"))]
use callgate::HttpScope;
#[cfg(any(feature = "form", feature = "cookies"))]
use callgate::RequestScope;
use callgate::{ReceiveEvent, Receiver};
#[cfg(any(feature = "json", feature = "form"))]
use serde::de::DeserializeOwned;

#[cfg(feature = "cookies")]
use crate::cookies::CookieJar;
#[cfg(feature = "multipart")]
use crate::multipart::{Limits, Multipart};

pub use self::error::ReadError;
pub use crate::interruption::{Interruption, disconnected, interruption};

/// Reads all of the content.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::{read, respond};
///
/// async fn count(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
///     let content = read::bytes(&mut receiver, 1024 * 1024).await?;
///     respond::text(format!("{} bytes\n", content.len())).send(&sender).await
/// }
/// ```
///
/// # Errors
///
/// [`ReadError::TooLarge`] when there are more than `limit` bytes, as soon as they have arrived;
/// [`ReadError::Disconnected`] when the client goes away before the end.
pub async fn bytes(receiver: &mut Receiver, limit: usize) -> Result<Bytes, ReadError> {
    let mut parts = BytesMut::new();
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpRequestBody(request) => {
                if request.body.len() > limit - parts.len() {
                    return Err(ReadError::TooLarge { limit });
                }
                if parts.is_empty() && !request.more_body {
                    return Ok(request.body);
                }
                parts.extend_from_slice(&request.body);
                if !request.more_body {
                    return Ok(parts.freeze());
                }
            }
            ReceiveEvent::HttpDisconnect => return Err(ReadError::Disconnected),
            _ => {}
        }
    }
}

/// Reads the content as text in UTF-8.
///
/// # Errors
///
/// Those of [`bytes()`]; [`ReadError::Syntax`] when the content is not UTF-8.
pub async fn text(receiver: &mut Receiver, limit: usize) -> Result<String, ReadError> {
    let content = bytes(receiver, limit).await?;
    String::from_utf8(content.into()).map_err(|error| ReadError::Syntax(error.to_string()))
}

/// Reads the content as JSON.
///
/// # Errors
///
/// Those of [`bytes()`], where `content-length` tells a content that is too large before it is read;
/// [`ReadError::MediaType`] when `content-type` is neither `application/json` nor `*/*+json`;
/// [`ReadError::Syntax`] when the content is not JSON, and [`ReadError::Data`] when it is not a `T`.
#[cfg(feature = "json")]
pub async fn json<T: DeserializeOwned>(
    scope: &HttpScope,
    receiver: &mut Receiver,
    limit: usize,
) -> Result<T, ReadError> {
    let is_json = |essence: &str| essence == "application/json" || essence.ends_with("+json");
    head::check(scope, limit, "application/json", is_json)?;
    let content = bytes(receiver, limit).await?;
    serde_json::from_slice(&content).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ReadError::Data(error.to_string()),
        _ => ReadError::Syntax(error.to_string()),
    })
}

/// Reads the content as the fields of a form. A field that occurs several times is a list.
///
/// # Errors
///
/// Those of [`bytes()`], where `content-length` tells a content that is too large before it is read;
/// [`ReadError::MediaType`] when `content-type` is not `application/x-www-form-urlencoded`;
/// [`ReadError::Data`] when the content is not a `T`.
#[cfg(feature = "form")]
pub async fn form<T: DeserializeOwned>(
    scope: &HttpScope,
    receiver: &mut Receiver,
    limit: usize,
) -> Result<T, ReadError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    head::check(scope, limit, FORM, |essence| essence == FORM)?;
    let content = bytes(receiver, limit).await?;
    serde_html_form::from_bytes(&content).map_err(|error| ReadError::Data(error.to_string()))
}

/// Reads the query of the target, such as `?page=2&tag=a&tag=b`. A field that occurs several times is
/// a list.
///
/// # Errors
///
/// [`ReadError::Query`] when the query is not a `T`.
#[cfg(feature = "form")]
pub fn query<T: DeserializeOwned>(scope: &RequestScope) -> Result<T, ReadError> {
    serde_html_form::from_str(scope.query()).map_err(|error| ReadError::Query(error.to_string()))
}

/// Reads the cookies of a request or of a WebSocket's handshake, as [`cookies`](mod@crate::cookies) describes them.
#[cfg(feature = "cookies")]
#[must_use]
pub fn cookies(scope: &RequestScope) -> CookieJar {
    crate::cookies::parse(&scope.headers)
}

/// Reads the content as a multipart form, field by field, as [`multipart`](mod@crate::multipart)
/// describes it.
///
/// # Errors
///
/// [`ReadError::MediaType`] when `content-type` is not `multipart/form-data`; [`ReadError::Syntax`]
/// when it has no boundary; [`ReadError::TooLarge`] when `content-length` is beyond the limit.
#[cfg(feature = "multipart")]
pub fn multipart<'a>(
    scope: &HttpScope,
    receiver: &'a mut Receiver,
    limits: Limits,
) -> Result<Multipart<'a>, ReadError> {
    Multipart::new(scope, receiver, limits)
}
