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
//! path. A [`Directory`] does so, and serves all files below it.

mod condition;
mod directory;
mod encoding;
mod metadata;
mod open;
mod parts;
mod range;

use std::fs::Metadata;
use std::io;
use std::path::PathBuf;

use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart, HttpScope,
    SendError, Sender,
};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode};
use tokio::fs::File;

use self::condition::Validators;
pub use self::directory::Directory;
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
        if !is_served(&scope.method) {
            return method_not_allowed().send(sender).await;
        }
        let path = std::path::absolute(&self.path)?;
        let source = match open(path, can_path_send(scope)).await {
            Err(error) if is_missing(&error) => return not_found().send(sender).await,
            opened => opened?,
        };
        metadata::describe(&mut start.headers, &self.path, &source.metadata, None);
        source.send(scope, start, sender).await
    }
}

/// A file to respond with.
struct Source {
    metadata: Metadata,
    opened: Opened,
}

enum Opened {
    /// The server opens the file at this path.
    ByServer(PathBuf),
    /// The file is open. The server can open it again by the path, if there is one.
    Here(std::fs::File, Option<PathBuf>),
}

impl Source {
    /// Sends the head, which describes the file already, and the file or the ranges of it that the
    /// request asks for.
    async fn send(
        self,
        scope: &HttpScope,
        mut start: HttpResponseStart,
        sender: &Sender,
    ) -> Result<(), AppError> {
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
        let file = match self.opened {
            Opened::ByServer(path) => {
                sender.send(start).await?;
                return Ok(sender.send(HttpResponsePathSend::new(path)).await?);
            }
            Opened::Here(file, path) => match path.filter(|_| can_path_send(scope)) {
                None => file,
                Some(path) => {
                    sender.send(start).await?;
                    return match sender.send(HttpResponsePathSend::new(path)).await {
                        // The server finds no such path: `/proc` is not mounted, for example.
                        Err(SendError::File { .. }) => {
                            let parts = Parts::single(0..self.metadata.len());
                            parts.send(File::from_std(file), sender).await
                        }
                        sent => Ok(sent?),
                    };
                }
            },
        };
        let length = self.metadata.len();
        let selection = if has_range(scope) && validators.is_of_range(&scope.headers) {
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
        parts.send(File::from_std(file), sender).await
    }
}

/// Opens the file at this path, unless the server opens it.
async fn open(path: PathBuf, is_path_send: bool) -> io::Result<Source> {
    blocking(move || {
        // The device behind a path is not opened, as opening it may have effects.
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if is_path_send {
            let opened = Opened::ByServer(path);
            return Ok(Source { metadata, opened });
        }
        // The path may name another file by now; the response describes the file that it sends.
        let file = open::open(&path)?;
        let (file, metadata) = regular_file(file)?;
        let opened = Opened::Here(file, None);
        Ok(Source { metadata, opened })
    })
    .await
}

/// Returns an open file with its metadata, if it is a regular file.
fn regular_file(file: std::fs::File) -> io::Result<(std::fs::File, Metadata)> {
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Calls a function on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    function: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(function).await?
}

fn is_served(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Returns whether the request asks for ranges, which are defined for GET only (RFC 9110, 14.2).
fn has_range(scope: &HttpScope) -> bool {
    scope.method == Method::GET && scope.headers.contains_key(RANGE)
}

/// Returns whether the server can send the file by its path. A path send is always the whole file.
fn can_path_send(scope: &HttpScope) -> bool {
    scope.features.contains(Feature::PathSend) && !has_range(scope)
}

fn is_missing(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;

        // A link in a circle or out of a directory, or a socket.
        let missing = [Errno::LOOP, Errno::XDEV, Errno::NXIO];
        if Errno::from_io_error(error).is_some_and(|error| missing.contains(&error)) {
            return true;
        }
    }
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            // The name is too long, or has a zero byte: no file can have it.
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
    )
}

fn not_found() -> Response {
    explain(StatusCode::NOT_FOUND, "There is no such file.\n")
}

fn method_not_allowed() -> Response {
    let text = "Only GET and HEAD are served here.\n";
    explain(StatusCode::METHOD_NOT_ALLOWED, text).header("allow", "GET, HEAD")
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
