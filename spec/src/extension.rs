use std::fmt;

/// A feature that a server may offer on an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Extension {
    /// `http.response.trailers`: header fields after the content of a response.
    ResponseTrailers,
    /// `http.response.pathsend`: the server reads the body from a file.
    PathSend,
    /// `http.response.early_hint`: a `103 Early Hints` before the response.
    EarlyHints,
    /// `http.response.debug`: facts for a test client, never sent to a real one.
    Debug,
    /// `websocket.http.response`: an HTTP response in place of a WebSocket.
    DenialResponse,
    /// `tls`: the scope says how the connection is secured.
    Tls,
}

impl Extension {
    /// Every extension there is.
    pub const ALL: [Self; 6] = [
        Self::ResponseTrailers,
        Self::PathSend,
        Self::EarlyHints,
        Self::Debug,
        Self::DenialResponse,
        Self::Tls,
    ];

    /// Its name in the documents and in the serialised form, which is ASGI's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResponseTrailers => "http.response.trailers",
            Self::PathSend => "http.response.pathsend",
            Self::EarlyHints => "http.response.early_hint",
            Self::Debug => "http.response.debug",
            Self::DenialResponse => "websocket.http.response",
            Self::Tls => "tls",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The set of [`Extension`]s that a server offers on one exchange.
///
/// ```
/// use callgate::{Extension, Extensions};
///
/// let offered = Extensions::NONE.with(Extension::PathSend);
/// assert!(offered.contains(Extension::PathSend));
/// assert!(!offered.contains(Extension::EarlyHints));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions(u8);

impl Extensions {
    /// No extension at all.
    pub const NONE: Self = Self(0);

    /// This set and `extension`.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | extension.bit())
    }

    /// This set without `extension`.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Self {
        Self(self.0 & !extension.bit())
    }

    /// Whether `extension` is offered.
    #[must_use]
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// The extensions offered.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL
            .into_iter()
            .filter(move |extension| self.contains(*extension))
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        extensions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
