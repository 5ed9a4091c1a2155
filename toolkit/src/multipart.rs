//! Multipart forms: a bounded stream of fields, such as uploaded files (RFC 7578).
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::multipart::Limits;
//! use callgate_toolkit::{read, respond};
//!
//! async fn upload(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     // 32 MiB in all, 16 MiB in each field, 10 fields.
//!     let limits = Limits::new(32 << 20).per_field(16 << 20).max_fields(10);
//!     let mut form = read::multipart(&scope, &mut receiver, limits)?;
//!     let mut lines = String::new();
//!     while let Some(mut field) = form.next().await? {
//!         let name = field.name().unwrap_or_default().to_owned();
//!         let mut length = 0;
//!         while let Some(chunk) = field.chunk().await? {
//!             length += chunk.len();
//!         }
//!         lines.push_str(&format!("{name}: {length} bytes\n"));
//!     }
//!     respond::text(lines).send(&sender).await
//! }
//! ```
//!
//! Fields are read in the order in which the client sends them, and a file is read in chunks: no
//! more is held than one event of the receiver and the head of a field. Content that the
//! application does not read of a field is skipped by the next call of [`Multipart::next`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use callgate::{HttpScope, ReceiveEvent, Receiver};
use futures_util::{Stream, stream};
use multer::{Constraints, SizeLimit};

use crate::read::error::ReadError;
use crate::read::head;

const FORM_DATA: &str = "multipart/form-data";

/// The limit of the boundary and the head of a field together, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The allowance of a [`Source`] while the content of a field is read, which has limits of its own.
const UNLIMITED: usize = usize::MAX;

/// The limits of a multipart form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    total: usize,
    per_field: usize,
    max_fields: usize,
}

impl Limits {
    /// Creates limits of `total` bytes for the whole content of the request, the heads of the fields
    /// and the boundaries included. Each field may be as large; there may be 1000 fields.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self {
            total,
            per_field: total,
            max_fields: 1000,
        }
    }

    /// Sets the limit for the content of each field, in bytes.
    #[must_use]
    pub fn per_field(mut self, bytes: usize) -> Self {
        self.per_field = bytes;
        self
    }

    /// Sets the limit for the number of fields.
    #[must_use]
    pub fn max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }
}

/// A multipart form that is being read: created by [`read::multipart`](crate::read::multipart).
pub struct Multipart<'a> {
    parser: multer::Multipart<'a>,
    limits: Limits,
    allowance: Allowance,
    /// The number of fields that have been returned.
    fields: usize,
    /// The field that was returned last.
    current: Option<multer::Field<'a>>,
}

impl<'a> Multipart<'a> {
    pub(crate) fn new(
        scope: &HttpScope,
        receiver: &'a mut Receiver,
        limits: Limits,
    ) -> Result<Self, ReadError> {
        let content_type = head::check(scope, limits.total, FORM_DATA, |essence| {
            essence == FORM_DATA
        })?;
        let boundary = multer::parse_boundary(content_type)
            .map_err(|error| ReadError::Syntax(error.to_string()))?;
        let size_limit = SizeLimit::new()
            .whole_stream(limits.total as u64)
            .per_field(limits.per_field as u64);
        let allowance = Allowance::default();
        Ok(Self {
            parser: multer::Multipart::with_constraints(
                source(receiver, allowance.clone()),
                boundary,
                Constraints::new().size_limit(size_limit),
            ),
            limits,
            allowance,
            fields: 0,
            current: None,
        })
    }

    /// Returns the next field; `None` at the end of the form. The unread rest of the last field is
    /// skipped.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`], [`ReadError::FieldTooLarge`] and [`ReadError::TooManyFields`] beyond
    /// the [`Limits`]; [`ReadError::Syntax`] when the form is malformed or the head of the field is
    /// larger than 16 KiB; [`ReadError::Disconnected`] when the client goes away before the end.
    pub async fn next(&mut self) -> Result<Option<Field<'_, 'a>>, ReadError> {
        while self.chunk().await?.is_some() {}
        // The parser returns no field while another one of it exists.
        self.current = None;
        self.allowance.set(MAX_HEAD);
        let Some(field) = self.parser.next_field().await.map_err(read_error)? else {
            return Ok(None);
        };
        self.allowance.set(UNLIMITED);
        self.fields += 1;
        if self.fields > self.limits.max_fields {
            let limit = self.limits.max_fields;
            return Err(ReadError::TooManyFields { limit });
        }
        Ok(Some(Field {
            field: self.current.insert(field),
        }))
    }

    /// Returns the next chunk of the field that was returned last.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        match &mut self.current {
            Some(field) => field.chunk().await.map_err(read_error),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Multipart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart")
            .field("limits", &self.limits)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// A field of a multipart form: a value, or a file.
#[derive(Debug)]
pub struct Field<'f, 'a> {
    field: &'f mut multer::Field<'a>,
}

impl Field<'_, '_> {
    /// Returns the name of the field, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// Returns the name that the client gives to the file; `None` for a field that is not a file.
    ///
    /// It is text from the client, and may contain `/` and `..`: it is not a path to write to.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// Returns the value of the field's `content-type`, if it has one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.field.headers().get("content-type")?.to_str().ok()
    }

    /// Returns the next chunk of the content; `None` at its end.
    ///
    /// # Errors
    ///
    /// As [`Multipart::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        self.field.chunk().await.map_err(read_error)
    }

    /// Reads the rest of the content.
    ///
    /// # Errors
    ///
    /// As [`Multipart::next`].
    pub async fn bytes(mut self) -> Result<Bytes, ReadError> {
        let mut content = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            content.extend_from_slice(&chunk);
        }
        Ok(content.freeze())
    }

    /// Reads the rest of the content as text in UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Multipart::next`]; [`ReadError::Syntax`] when the content is not UTF-8.
    pub async fn text(self) -> Result<String, ReadError> {
        let content = self.bytes().await?;
        String::from_utf8(content.into()).map_err(|error| ReadError::Syntax(error.to_string()))
    }
}

/// The number of bytes that the parser may still take from the receiver before it must have found a
/// field.
#[derive(Clone, Default)]
struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn spend(&self, bytes: usize) {
        let left = self.0.load(Ordering::Relaxed);
        if left != UNLIMITED {
            self.set(left.saturating_sub(bytes));
        }
    }
}

/// Returns the content of the request as the parser takes it.
///
/// The parser takes everything that is ready before it parses, and searches its whole buffer again each
/// time. So that its buffer stays small, the stream is pending after each part for as often as the parser
/// polls it in one go, and fails where the head of a field has no end.
fn source(
    receiver: &mut Receiver,
    allowance: Allowance,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send {
    /// The parser polls so many times in one go while it looks for the first boundary.
    const POLLS: u8 = 2;
    let mut is_whole = false;
    let mut pauses = 0;
    stream::poll_fn(move |cx| {
        if pauses > 0 {
            pauses -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if is_whole {
            return Poll::Ready(None);
        }
        if allowance.is_spent() {
            let reason = format!("the head of a field is larger than {MAX_HEAD} bytes");
            return Poll::Ready(Some(Err(ReadError::Syntax(reason))));
        }
        loop {
            match std::task::ready!(receiver.poll_receive(cx)) {
                ReceiveEvent::HttpRequestBody(request) => {
                    is_whole = !request.more_body;
                    pauses = POLLS;
                    allowance.spend(request.body.len());
                    return Poll::Ready(Some(Ok(request.body)));
                }
                ReceiveEvent::HttpDisconnect => {
                    return Poll::Ready(Some(Err(ReadError::Disconnected)));
                }
                _ => {}
            }
        }
    })
}

fn read_error(error: multer::Error) -> ReadError {
    match error {
        multer::Error::StreamSizeExceeded { limit } => ReadError::TooLarge {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        },
        multer::Error::FieldSizeExceeded { limit, field_name } => ReadError::FieldTooLarge {
            name: field_name.unwrap_or_default(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        },
        multer::Error::StreamReadFailed(error) => match error.downcast::<ReadError>() {
            Ok(error) => *error,
            Err(error) => ReadError::Syntax(error.to_string()),
        },
        error => ReadError::Syntax(error.to_string()),
    }
}
