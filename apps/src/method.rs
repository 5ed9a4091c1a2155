//! For applications that are there to be read.

use callgate::{AppError, HttpResponseBody, HttpResponseStart, Sender};
use http::{Method, StatusCode};

/// Whether `method` only reads: the server leaves the content away for HEAD by itself.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Answers any other method.
pub(crate) async fn not_allowed(sender: &Sender) -> Result<(), AppError> {
    let start = HttpResponseStart::new(StatusCode::METHOD_NOT_ALLOWED)
        .header("allow", "GET, HEAD")
        .header("content-type", "text/plain; charset=utf-8");
    sender.send(start).await?;
    sender
        .send(HttpResponseBody::last(
            "Only GET and HEAD are served here.\n",
        ))
        .await?;
    Ok(())
}
