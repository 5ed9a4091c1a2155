//! The content of a blocking function's response.

use std::fmt;
use std::io::{self, Read, Write};

use bytes::Bytes;

/// The content of a response: nothing, bytes, or what comes bit by bit.
///
/// It is read or written on the thread of the function that made it, so it need not be `Send`. Each
/// part waits until the transport has taken it, so that a slow client slows its source down.
#[derive(Default)]
pub struct Body(pub(super) Kind);

#[derive(Default)]
pub(super) enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    Read(Box<dyn Read>),
    Parts(Box<dyn Iterator<Item = io::Result<Bytes>>>),
    Write(Writing),
}

pub(super) type Writing = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()>>;

impl Body {
    /// No content.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// What this reader yields, up to its end. An error cuts the response (rule `HTTP-33`).
    pub fn read(reader: impl Read + 'static) -> Self {
        Self(Kind::Read(Box::new(reader)))
    }

    /// What this iterator yields; each item is sent as it comes. An error cuts the response.
    pub fn parts<I, B>(parts: I) -> Self
    where
        I: IntoIterator<Item = io::Result<B>>,
        I::IntoIter: 'static,
        B: Into<Bytes> + 'static,
    {
        let parts = parts.into_iter().map(|part| part.map(Into::into));
        Self(Kind::Parts(Box::new(parts)))
    }

    /// What this function writes. Each write is sent as it is: a
    /// [`BufWriter`](std::io::BufWriter) gathers small ones. Once the client is gone, a write is an
    /// error of kind [`BrokenPipe`](io::ErrorKind::BrokenPipe). An error that the function returns
    /// cuts the response.
    pub fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'static) -> Self {
        Self(Kind::Write(Box::new(write)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body::Empty"),
            Kind::Whole(bytes) => f.debug_tuple("Body::Whole").field(bytes).finish(),
            Kind::Read(_) => f.write_str("Body::Read"),
            Kind::Parts(_) => f.write_str("Body::Parts"),
            Kind::Write(_) => f.write_str("Body::Write"),
        }
    }
}

macro_rules! whole {
    ($($from:ty),+) => {
        $(impl From<$from> for Body {
            fn from(content: $from) -> Self {
                Self(Kind::Whole(content.into()))
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
