//! The applications of the measurements.

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender,
};
use http::header::{CONTENT_TYPE, HeaderValue};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers with the response of [`bare_hyper`](crate::bare_hyper).
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    let start = HttpResponseStart::ok().header(CONTENT_TYPE, TEXT);
    sender.send(start).await?;
    sender
        .send(HttpResponseBody::last("Hello, world!\n"))
        .await?;
    Ok(())
}

/// Sends back each part of the content as it arrives.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    sender.send(HttpResponseStart::ok()).await?;
    while let ReceiveEvent::HttpRequestBody(part) = receiver.receive().await {
        let more_body = part.more_body;
        sender
            .send(HttpResponseBody::new(part.body, more_body))
            .await?;
        if !more_body {
            break;
        }
    }
    Ok(())
}
