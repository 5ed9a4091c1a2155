//! Files as responses.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::BytesMut;
use callgate::{
    AppError, Extension, HttpPathSend, HttpResponseBody, HttpResponseStart, HttpScope, Sender,
};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED,
};
use http::{Method, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::respond;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A file as a response.
///
/// Where the server offers it, the server reads the file
/// ([path send](callgate::Extension::PathSend)); else it is streamed. `content-type` is guessed by
/// the file's name, `last-modified` is set, and a client that has the newest is told so (304, RFC
/// 9110, 13.1.3). There are no ranges.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::file::FileResponse;
///
/// async fn logo(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     let Scope::Http(scope) = scope else {
///         return Err(AppError::Unsupported);
///     };
///     FileResponse::new("assets/logo.svg")
///         .header("cache-control", "max-age=3600")
///         .send(&scope, &sender)
///         .await
/// }
/// ```
///
/// A path that a client has a say in is the caller's to check: this opens any file.
#[derive(Clone, Debug)]
#[must_use = "a response is sent by `send`"]
pub struct FileResponse {
    path: PathBuf,
    start: HttpResponseStart,
}

impl FileResponse {
    /// The file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            start: HttpResponseStart::ok(),
        }
    }

    /// Sets a header field, in place of any of the same name.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        respond::set(&mut self.start.headers, name, value);
        self
    }

    /// Sends it; or 404 where there is no such file, and 405 where the method is neither GET nor
    /// HEAD.
    ///
    /// # Errors
    ///
    /// A failed send; a file that cannot be read for another reason than that it is not there.
    pub async fn send(mut self, scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
        if !matches!(scope.method, Method::GET | Method::HEAD) {
            respond::method_not_allowed("GET, HEAD")
                .send(sender)
                .await?;
            return Ok(());
        }
        let path = std::path::absolute(&self.path)?;
        let metadata = match tokio::fs::metadata(&path).await {
            Ok(metadata) if metadata.is_file() => metadata,
            Err(error) if !is_missing(&error) => return Err(error.into()),
            _ => return not_found(sender).await,
        };
        self.describe(&metadata);
        if is_unchanged(scope, &metadata) {
            self.start.status = StatusCode::NOT_MODIFIED;
            sender.send(self.start).await?;
            sender.send(HttpResponseBody::end()).await?;
            return Ok(());
        }
        if scope.extensions.contains(Extension::PathSend) {
            sender.send(self.start).await?;
            sender.send(HttpPathSend::new(path)).await?;
            return Ok(());
        }
        self.stream(&path, scope, sender).await
    }

    async fn stream(
        mut self,
        path: &Path,
        scope: &HttpScope,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let mut file = File::open(path).await?;
        let mut remaining = file.metadata().await?.len();
        self.start.headers.insert(CONTENT_LENGTH, remaining.into());
        sender.send(self.start).await?;
        while scope.method != Method::HEAD && remaining > 0 {
            // No more than was promised, should the file grow.
            let size = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
            let mut chunk = BytesMut::zeroed(size);
            let length = file.read(&mut chunk).await?;
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            chunk.truncate(length);
            remaining -= length as u64;
            sender.send(HttpResponseBody::part(chunk.freeze())).await?;
        }
        sender.send(HttpResponseBody::end()).await?;
        Ok(())
    }

    /// Says what is known of the file, where the caller has not.
    fn describe(&mut self, metadata: &Metadata) {
        let headers = &mut self.start.headers;
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, content_type(&self.path));
        }
        if let Some(modified) = modified(metadata) {
            let date = HeaderValue::try_from(httpdate::fmt_http_date(modified));
            headers.insert(LAST_MODIFIED, date.expect("a date is visible ASCII"));
        }
    }
}

fn content_type(path: &Path) -> HeaderValue {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let essence = guess.essence_str();
    let is_text = essence.starts_with("text/") || essence == "application/javascript";
    let value = if is_text {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    };
    HeaderValue::try_from(value).expect("a media type is visible ASCII")
}

/// When the file was changed; none for times that HTTP cannot name.
fn modified(metadata: &Metadata) -> Option<SystemTime> {
    let modified = metadata.modified().ok()?;
    (modified >= SystemTime::UNIX_EPOCH).then_some(modified)
}

/// Whether the client has what there is, to the second.
fn is_unchanged(scope: &HttpScope, metadata: &Metadata) -> bool {
    // With both fields, the other counts (RFC 9110, 13.2.2); and no file has an entity tag here.
    if scope.headers.contains_key(IF_NONE_MATCH) {
        return false;
    }
    let since = scope.headers.get(IF_MODIFIED_SINCE);
    let since = since.and_then(|since| httpdate::parse_http_date(since.to_str().ok()?).ok());
    let seconds = |time: SystemTime| {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.ok().map(|duration| duration.as_secs())
    };
    match (
        since.and_then(seconds),
        modified(metadata).and_then(seconds),
    ) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

async fn not_found(sender: &Sender) -> Result<(), AppError> {
    let response = respond::text("There is no such file.\n").status(StatusCode::NOT_FOUND);
    response.send(sender).await?;
    Ok(())
}
