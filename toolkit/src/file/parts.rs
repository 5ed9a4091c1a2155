//! The parts of a response that come from a file, and the heads of a multipart response between them.

use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, Sender};
use http::StatusCode;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::metadata::ascii;
use super::range::Selection;
use crate::random::random_hex;

/// The size of one read of a file, in bytes.
const CHUNK: usize = 64 * 1024;

/// The content of a response from a file: ranges, each with the bytes before it, and the bytes at
/// the end.
pub(super) struct Parts {
    parts: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
}

impl Parts {
    /// Returns the parts for this selection of a file of `length` bytes, and describes them in the
    /// head; `None` where the selection is not within the file.
    pub(super) fn select(
        selection: Selection,
        length: u64,
        start: &mut HttpResponseStart,
    ) -> Option<Self> {
        let ranges = match selection {
            Selection::Unsatisfiable => return None,
            Selection::Whole => return Some(Self::single(0..length)),
            Selection::Ranges(ranges) => ranges,
        };
        start.status = StatusCode::PARTIAL_CONTENT;
        let headers = &mut start.headers;
        if let [range] = &ranges[..] {
            headers.insert(CONTENT_RANGE, ascii(content_range(range, length)));
            return Some(Self::single(range.clone()));
        }
        // The author of the file must not be able to guess the boundary and put it into the file.
        let boundary = format!("callgate-{}", random_hex());
        let multipart = format!("multipart/byteranges; boundary={boundary}");
        let content_type = headers.insert(CONTENT_TYPE, ascii(multipart));
        let content_type = content_type
            .as_ref()
            .map_or(&b""[..], HeaderValue::as_bytes);
        let parts = ranges.into_iter().map(|range| {
            let mut head = BytesMut::from(&*format!("\r\n--{boundary}\r\ncontent-type: "));
            head.extend_from_slice(content_type);
            let content_range = content_range(&range, length);
            head.extend_from_slice(
                format!("\r\ncontent-range: {content_range}\r\n\r\n").as_bytes(),
            );
            (head.freeze(), range)
        });
        Some(Self {
            parts: parts.collect(),
            end: format!("\r\n--{boundary}--\r\n").into(),
        })
    }

    /// Returns the content of one range.
    pub(super) fn single(range: Range<u64>) -> Self {
        Self {
            parts: vec![(Bytes::new(), range)],
            end: Bytes::new(),
        }
    }

    /// Returns the length of the content in bytes.
    pub(super) fn length(&self) -> u64 {
        let parts = self.parts.iter();
        let parts = parts.map(|(head, range)| head.len() as u64 + (range.end - range.start));
        parts.sum::<u64>() + self.end.len() as u64
    }

    /// Reads the parts from the file, and sends them.
    ///
    /// # Errors
    ///
    /// A failed send; a file that cannot be read, or has become shorter.
    pub(super) async fn send(self, mut file: File, sender: &Sender) -> Result<(), AppError> {
        for (head, range) in self.parts {
            if !head.is_empty() {
                sender.send(HttpResponseBody::part(head)).await?;
            }
            if range.start > 0 {
                file.seek(io::SeekFrom::Start(range.start)).await?;
            }
            // A file that grows meanwhile is sent up to the length that the head declares.
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
        sender.send(HttpResponseBody::last(self.end)).await?;
        Ok(())
    }
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}
