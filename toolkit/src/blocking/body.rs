//! The content of a blocking function's response.

use std::fmt;
use std::io::{self, Read, Write};

use bytes::Bytes;

/// The content of a response: empty, bytes, or the output of a reader, an iterator or a function.
///
/// The content is produced on the thread of the function that created it, so it need not be `Send`.
/// Each part waits until the server has taken it, so a slow client slows the source down.
#[derive(Default)]
pub struct Body(pub(super) Source);

#[derive(Default)]
pub(super) enum Source {
    #[default]
    Empty,
    Whole(Bytes),
    Reader(Box<dyn Read>),
    Parts(Box<dyn Iterator<Item = io::Result<Bytes>>>),
    Writer(WriteFn),
}

pub(super) type WriteFn = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()>>;

impl Body {
    /// Creates an empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Creates a body of the bytes that `reader` yields up to its end. An error of the reader cuts
    /// the response (rule `HTTP-33`).
    pub fn read(reader: impl Read + 'static) -> Self {
        Self(Source::Reader(Box::new(reader)))
    }

    /// Creates a body of the items of an iterator, each of which is sent as it comes. An error among them
    /// cuts the response.
    pub fn parts<I, B>(parts: I) -> Self
    where
        I: IntoIterator<Item = io::Result<B>>,
        I::IntoIter: 'static,
        B: Into<Bytes> + 'static,
    {
        let parts = parts.into_iter().map(|part| part.map(Into::into));
        Self(Source::Parts(Box::new(parts)))
    }

    /// Creates a body of the bytes that `write` writes. Each write is sent by itself; a
    /// [`BufWriter`](std::io::BufWriter) joins small writes. Once the client is gone, a write fails
    /// with [`BrokenPipe`](io::ErrorKind::BrokenPipe). An error that the function returns cuts the
    /// response.
    pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'static) -> Self {
        Self(Source::Writer(Box::new(write)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Empty => f.write_str("Body::Empty"),
            Source::Whole(bytes) => f.debug_tuple("Body::Whole").field(bytes).finish(),
            Source::Reader(_) => f.write_str("Body::Reader"),
            Source::Parts(_) => f.write_str("Body::Parts"),
            Source::Writer(_) => f.write_str("Body::Writer"),
        }
    }
}

macro_rules! whole {
    ($($from:ty),+) => {
        $(impl From<$from> for Body {
            fn from(content: $from) -> Self {
                Self(Source::Whole(content.into()))
            }
        })+
    };
}

whole!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}
