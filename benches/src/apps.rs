//! What is served while it is measured.

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender,
};
use http::header::{CONTENT_TYPE, HeaderValue};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Says hello, as [`bare_hyper`](crate::bare_hyper) does.
///
/// # Errors
///
/// [`AppError::Unsupported`] for anything but HTTP; a failed send.
pub async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Http(_) = scope else {
        return Err(AppError::Unsupported);
    };
    let start = HttpResponseStart::ok().header(CONTENT_TYPE, TEXT);
    sender.send(start).await?;
    sender
        .send(HttpResponseBody::last("Hello, world!\n"))
        .await?;
    Ok(())
}

/// Sends the content of the request back, each part as it comes.
///
/// # Errors
///
/// [`AppError::Unsupported`] for anything but HTTP; a failed send.
pub async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Http(_) = scope else {
        return Err(AppError::Unsupported);
    };
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
