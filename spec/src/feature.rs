use std::fmt;

/// An optional feature of the protocol, which a server may offer on an exchange. ASGI calls
/// features extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Feature {
    /// `http.response.trailers`: header fields after the content of a response.
    ResponseTrailers,
    /// `http.response.pathsend`: the server reads the content of a response from a file.
    PathSend,
    /// `http.response.early_hint`: a `103 Early Hints` before the response.
    EarlyHints,
    /// `http.response.debug`: information for a test client, which never reaches a real client.
    Debug,
    /// `websocket.http.response`: an HTTP response in place of a WebSocket.
    DenialResponse,
    /// `tls`: the scope describes how the connection is secured.
    Tls,
    /// `http.shutdown`: the application is notified when the server shuts down.
    Shutdown,
    /// `websocket.permessage_deflate`: the messages of the WebSocket are compressed on the wire.
    PerMessageDeflate,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 8] = [
        Self::ResponseTrailers,
        Self::PathSend,
        Self::EarlyHints,
        Self::Debug,
        Self::DenialResponse,
        Self::Tls,
        Self::Shutdown,
        Self::PerMessageDeflate,
    ];

    /// Returns the name of the feature in the documents and in the serialised form. Features that
    /// ASGI defines have ASGI's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResponseTrailers => "http.response.trailers",
            Self::PathSend => "http.response.pathsend",
            Self::EarlyHints => "http.response.early_hint",
            Self::Debug => "http.response.debug",
            Self::DenialResponse => "websocket.http.response",
            Self::Tls => "tls",
            Self::Shutdown => "http.shutdown",
            Self::PerMessageDeflate => "websocket.permessage_deflate",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The set of [`Feature`]s that a server offers on one exchange.
///
/// ```
/// use callgate::{Feature, Features};
///
/// let offered = Features::NONE.with(Feature::PathSend);
/// assert!(offered.contains(Feature::PathSend));
/// assert!(!offered.contains(Feature::EarlyHints));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Returns this set with `feature` added.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// Returns this set without `feature`.
    #[must_use]
    pub const fn without(self, feature: Feature) -> Self {
        Self(self.0 & !feature.bit())
    }

    /// Returns whether `feature` is offered.
    #[must_use]
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Returns an iterator over the features that are offered.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL
            .into_iter()
            .filter(move |feature| self.contains(*feature))
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
