//! Files as responses: whole or in ranges, and only when the client does not have them yet.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::respond;
//!
//! async fn logo(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     respond::file(&scope, "assets/logo.svg")
//!         .header("cache-control", "max-age=3600")
//!         .send(&sender)
//!         .await
//! }
//! ```
//!
//! - Where the server offers [path send](callgate::Feature::PathSend), the server reads the file.
//!   Elsewhere, and for ranges, the toolkit streams it.
//! - `content-type` is guessed from the name of the file, unless the author sets it.
//! - `etag` and `last-modified` come from the length of the file and its time of change, unless the
//!   author sets them. A time of change in the future is sent as the present.
//! - Conditional requests are served (RFC 9110, 13): 304 for a client that has the newest version,
//!   412 for one that wants another version.
//! - Range requests are served (RFC 9110, 14): 206 with one range, or with up to 16 ranges as
//!   `multipart/byteranges`, and 416 where no range is within the file. With `if-range`, only an entity
//!   tag gets a range: two versions of a file may have the same date.
//! - A file that does not exist is a 404, and a method other than GET and HEAD a 405.
//!
//! The path is opened as it is. An application that makes a path of a client's text must check the
//! path.

mod condition;
mod metadata;
mod parts;
mod range;

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpScope, Sender,
};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use tokio::fs::File;

use self::condition::Validators;
use self::parts::Parts;
use self::range::Selection;
use crate::response::{Content, Response};

/// A file, as the content of a [`Response`]: created by [`respond::file`](crate::respond::file).
#[derive(Clone, Debug)]
pub struct FileContent<'a> {
    scope: &'a HttpScope,
    path: PathBuf,
}

impl<'a> FileContent<'a> {
    pub(crate) fn new(scope: &'a HttpScope, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { scope, path }
    }
}

/// # Errors
///
/// A failed send; a file that exists and cannot be read.
impl Content for FileContent<'_> {
    async fn send_after(
        self,
        mut start: HttpResponseStart,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let scope = self.scope;
        if !matches!(scope.method, Method::GET | Method::HEAD) {
            let response = explain(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only GET and HEAD are served here.\n",
            );
            return response.header("allow", "GET, HEAD").send(sender).await;
        }
        let path = std::path::absolute(&self.path)?;
        // Ranges are defined for GET only (RFC 9110, 14.2).
        let has_range = scope.method == Method::GET && scope.headers.contains_key(RANGE);
        // A path send is always the whole file.
        let is_path_send = scope.features.contains(Feature::PathSend) && !has_range;
        let (metadata, file) = match open(&path, is_path_send).await {
            Err(error) if is_missing(&error) => {
                let response = explain(StatusCode::NOT_FOUND, "There is no such file.\n");
                return response.send(sender).await;
            }
            opened => opened?,
        };
        metadata::describe(&mut start.headers, &self.path, &metadata);
        let validators = Validators::of(&start.headers);
        match validators.instead(&scope.headers) {
            None => {}
            Some(StatusCode::PRECONDITION_FAILED) => {
                return precondition_failed(&start.headers).send(sender).await;
            }
            Some(status) => {
                start.status = status;
                sender.send(start).await?;
                sender.send(HttpResponseBody::end()).await?;
                return Ok(());
            }
        }
        let Some(file) = file else {
            sender.send(start).await?;
            sender.send(HttpResponsePathSend::new(path)).await?;
            return Ok(());
        };
        let length = metadata.len();
        let selection = if has_range && validators.is_of_range(&scope.headers) {
            Selection::of(&scope.headers, length)
        } else {
            Selection::Whole
        };
        let Some(parts) = Parts::select(selection, length, &mut start) else {
            let response = explain(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The file has no such range.\n",
            );
            let response = response.header(CONTENT_RANGE, format!("bytes */{length}"));
            return response.send(sender).await;
        };
        start.headers.insert(CONTENT_LENGTH, parts.length().into());
        sender.send(start).await?;
        if scope.method == Method::HEAD {
            sender.send(HttpResponseBody::end()).await?;
            return Ok(());
        }
        parts.send(file, sender).await
    }
}

/// Returns the metadata of a file, and the open file unless the server opens it.
async fn open(path: &Path, is_path_send: bool) -> io::Result<(Metadata, Option<File>)> {
    // Opening a file that is not a regular file, such as a pipe, may block for ever.
    let metadata = tokio::fs::metadata(path).await?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if is_path_send {
        return Ok((metadata, None));
    }
    let file = File::open(path).await?;
    // The path may name another file by now; the response describes the file that it sends.
    let metadata = file.metadata().await?;
    Ok((metadata, Some(file)))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            // The name is too long, or has a zero byte: no file can have it.
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
    )
}

/// Returns a response in place of the file.
fn explain(status: StatusCode, text: &'static str) -> Response {
    Response::new(text.into())
        .status(status)
        .header("content-type", "text/plain; charset=utf-8")
}

/// Returns a response for a client that wants another version than that which these header fields
/// describe.
fn precondition_failed(headers: &HeaderMap) -> Response {
    let mut response = explain(
        StatusCode::PRECONDITION_FAILED,
        "The file has another version by now.\n",
    );
    for name in [ETAG, LAST_MODIFIED] {
        if let Some(value) = headers.get(&name) {
            response = response.header(name, value.clone());
        }
    }
    response
}
