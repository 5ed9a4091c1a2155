//! Files as responses.

mod condition;
mod range;

use std::fs::Metadata;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use callgate::{
    AppError, Feature, HttpResponsePathSend, HttpResponseBody, HttpResponseStart, HttpScope, SendError,
    Sender,
};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    LAST_MODIFIED, RANGE,
};
use http::{Method, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use self::condition::Validators;
use self::range::Selection;
use crate::respond;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// When it begins, after the epoch. The years of HTTP have four digits.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// A file as a response.
///
/// Where the server offers it, the server reads the file
/// ([path send](callgate::Feature::PathSend)); else, and where parts of it are asked for, it is
/// streamed.
///
/// - `content-type` is guessed by the file's name, unless it is set.
/// - `etag` and `last-modified` are those of the file's length and time of change, unless they are
///   set. A time of change that is still to come is told as the present. A client that has the newest
///   is told so (304), and one that wants another is as well (412): `if-none-match`,
///   `if-modified-since`, `if-match` and `if-unmodified-since` (RFC 9110, 13).
/// - A client may ask for parts of it (206, RFC 9110, 14): one, or up to 16, as
///   `multipart/byteranges`. What is past the end is not there (416). With `if-range`, parts are sent
///   by an entity tag only: a date gets the whole file, as two states of it may have the same one.
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

    /// Sends it, or as much of it as the request asks for; or 404 where there is no such file, and
    /// 405 where the method is neither GET nor HEAD.
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
        // A range is defined for GET only (RFC 9110, 14.2).
        let is_range = scope.method == Method::GET && scope.headers.contains_key(RANGE);
        // The server sends whole files only.
        let is_by_path = scope.features.contains(Feature::PathSend) && !is_range;
        let found = match find(&path, is_by_path).await {
            Err(error) if is_missing(&error) => return not_found(sender).await,
            found => found?,
        };
        self.describe(&found.metadata);
        let validators = Validators::of(&self.start.headers);
        let instead = validators.instead(&scope.headers);
        let selection = if is_range && validators.is_of_range(&scope.headers) {
            Selection::of(&scope.headers, found.metadata.len())
        } else {
            Selection::Whole
        };
        match (instead, found.file) {
            (Some(StatusCode::PRECONDITION_FAILED), _) => self.refuse(sender).await?,
            (Some(status), _) => {
                self.start.status = status;
                sender.send(self.start).await?;
                sender.send(HttpResponseBody::end()).await?;
            }
            (None, None) => {
                sender.send(self.start).await?;
                sender.send(HttpResponsePathSend::new(path)).await?;
            }
            (None, Some(file)) => {
                let length = found.metadata.len();
                let Some(content) = self.select(selection, length) else {
                    return Ok(unsatisfiable(length).send(sender).await?);
                };
                self.stream(file, &content, scope, sender).await?;
            }
        }
        Ok(())
    }

    /// The file is not as the client wants it.
    async fn refuse(self, sender: &Sender) -> Result<(), SendError> {
        let mut response = respond::text("The file is another one by now.\n")
            .status(StatusCode::PRECONDITION_FAILED);
        for name in [ETAG, LAST_MODIFIED] {
            if let Some(value) = self.start.headers.get(&name) {
                response = response.header(name, value.clone());
            }
        }
        response.send(sender).await
    }

    /// Says in the head what is sent of a file of this length, and returns it; none when there is
    /// nothing to send.
    fn select(&mut self, selection: Selection, length: u64) -> Option<Content> {
        let parts = match selection {
            Selection::Unsatisfiable => return None,
            Selection::Whole => return Some(Content::of(0..length)),
            Selection::Parts(parts) => parts,
        };
        self.start.status = StatusCode::PARTIAL_CONTENT;
        let headers = &mut self.start.headers;
        if let [part] = &parts[..] {
            respond::set(headers, CONTENT_RANGE, content_range(part, length));
            return Some(Content::of(part.clone()));
        }
        // It must not stand in the file, which nobody can know who writes the file.
        let random = [(); 2].map(|()| RandomState::new().hash_one(length));
        let boundary = format!("callgate-{:016x}{:016x}", random[0], random[1]);
        let multipart = format!("multipart/byteranges; boundary={boundary}");
        let content_type = headers.insert(CONTENT_TYPE, ascii(multipart));
        let mut content = Content::default();
        for range in parts {
            let mut head = BytesMut::from("\r\n--");
            head.extend_from_slice(boundary.as_bytes());
            head.extend_from_slice(b"\r\ncontent-type: ");
            head.extend_from_slice(content_type.as_ref().map_or(b"", HeaderValue::as_bytes));
            let content_range = content_range(&range, length);
            head.extend_from_slice(
                format!("\r\ncontent-range: {content_range}\r\n\r\n").as_bytes(),
            );
            content.parts.push((head.freeze(), range));
        }
        content.end = format!("\r\n--{boundary}--\r\n").into();
        Some(content)
    }

    async fn stream(
        mut self,
        mut file: File,
        content: &Content,
        scope: &HttpScope,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let headers = &mut self.start.headers;
        headers.insert(CONTENT_LENGTH, content.length().into());
        sender.send(self.start).await?;
        if scope.method == Method::HEAD {
            sender.send(HttpResponseBody::end()).await?;
            return Ok(());
        }
        for (head, range) in &content.parts {
            if !head.is_empty() {
                sender.send(HttpResponseBody::part(head.clone())).await?;
            }
            if range.start > 0 {
                file.seek(io::SeekFrom::Start(range.start)).await?;
            }
            // No more than was promised, should the file grow.
            let mut remaining = range.end - range.start;
            while remaining > 0 {
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
        }
        sender
            .send(HttpResponseBody::last(content.end.clone()))
            .await?;
        Ok(())
    }

    /// Says what is known of the file, where the caller has not.
    fn describe(&mut self, metadata: &Metadata) {
        let headers = &mut self.start.headers;
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, content_type(&self.path));
        }
        if let Some(modified) = modified(metadata) {
            let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH);
            let nanoseconds = since_epoch.unwrap_or_default().as_nanos();
            let etag = format!("\"{nanoseconds:x}-{:x}\"", metadata.len());
            headers.entry(ETAG).or_insert_with(|| ascii(etag));
            if let Some(date) = last_modified(modified, SystemTime::now()) {
                headers.entry(LAST_MODIFIED).or_insert(date);
            }
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
}

/// A file that is there.
struct Found {
    metadata: Metadata,
    /// None where the server opens it.
    file: Option<File>,
}

async fn find(path: &Path, is_by_path: bool) -> io::Result<Found> {
    // Asked first, as opening what is no file (a pipe, say) might never return.
    let metadata = tokio::fs::metadata(path).await?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if is_by_path {
        return Ok(Found {
            metadata,
            file: None,
        });
    }
    let file = File::open(path).await?;
    // What is told of a file is true of the one that is sent, should another have taken its name.
    let metadata = file.metadata().await?;
    Ok(Found {
        metadata,
        file: Some(file),
    })
}

/// What is sent of a file: ranges of it, each after what comes before it.
#[derive(Default)]
struct Content {
    parts: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
}

impl Content {
    fn of(range: Range<u64>) -> Self {
        Self {
            parts: vec![(Bytes::new(), range)],
            end: Bytes::new(),
        }
    }

    /// Bytes in all.
    fn length(&self) -> u64 {
        let parts = self.parts.iter();
        let parts = parts.map(|(head, range)| head.len() as u64 + (range.end - range.start));
        parts.sum::<u64>() + self.end.len() as u64
    }
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn unsatisfiable(length: u64) -> respond::Response {
    respond::text("The file has no such part.\n")
        .status(StatusCode::RANGE_NOT_SATISFIABLE)
        .header(CONTENT_RANGE, format!("bytes */{length}"))
}

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("visible ASCII")
}

fn content_type(path: &Path) -> HeaderValue {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    let essence = guess.essence_str();
    let is_text = essence.starts_with("text/") || essence == "application/javascript";
    ascii(if is_text {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    })
}

/// When the file was changed; none before 1970.
fn modified(metadata: &Metadata) -> Option<SystemTime> {
    let modified = metadata.modified().ok()?;
    (modified >= SystemTime::UNIX_EPOCH).then_some(modified)
}

/// What is said now of a file that was changed then: nothing that is still to come (RFC 9110,
/// 8.8.2.1), and nothing at all where a date of HTTP cannot name it.
fn last_modified(modified: SystemTime, now: SystemTime) -> Option<HeaderValue> {
    let date = modified.min(now);
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since_epoch < YEAR_10000).then(|| ascii(httpdate::fmt_http_date(date)))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            // No file can have such a name: one that is too long, or has a zero byte in it.
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
    )
}

async fn not_found(sender: &Sender) -> Result<(), AppError> {
    let response = respond::text("There is no such file.\n").status(StatusCode::NOT_FOUND);
    response.send(sender).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{YEAR_10000, last_modified};

    #[test]
    fn a_date_is_told_only_of_times_that_http_can_name_and_that_have_come() {
        const SECOND: Duration = Duration::from_secs(1);
        let epoch = SystemTime::UNIX_EPOCH;
        let last = epoch + YEAR_10000 - SECOND;
        for (modified, now, date) in [
            (epoch, last, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (last, epoch, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (last, last, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (last + SECOND, last, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (last + SECOND, last + SECOND, None),
            (epoch - SECOND, last, None),
            (epoch, epoch - SECOND, None),
        ] {
            let found = last_modified(modified, now);
            assert_eq!(found.as_ref().map(|date| date.to_str().unwrap()), date);
        }
    }
}
