//! The events of HTTP exchanges.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// A part of a request's content: `http.request`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpRequestBody {
    /// The next bytes of the content; may be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more events follow. The content is whole when this is unset.
    pub more_body: bool,
    /// The trailer fields, on the last event, when the client sent some.
    #[cfg_attr(
        feature = "serde",
        serde(
            with = "crate::serial::trailers",
            skip_serializing_if = "Option::is_none"
        )
    )]
    pub trailers: Option<Box<HeaderMap>>,
}

impl HttpRequestBody {
    /// A part of the content; `more_body` says whether others follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
            trailers: None,
        }
    }

    /// A part that others follow.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
            trailers: None,
        }
    }

    /// The last part, or the whole content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
            trailers: None,
        }
    }

    /// With trailer fields, on the last part.
    #[must_use]
    pub fn trailers(mut self, fields: HeaderMap) -> Self {
        self.trailers = Some(Box::new(fields));
        self
    }
}

/// The head of a response: `http.response.start`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HttpResponseStart {
    /// A final status, 200 to 599 (rule `HTTP-17`).
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::status"))]
    pub status: StatusCode,
    /// The header fields.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serial::headers"))]
    pub headers: HeaderMap,
    /// Whether trailer fields follow the content: a feature (rule `EXT-03`).
    #[cfg_attr(feature = "serde", serde(default))]
    pub trailers: bool,
}

impl HttpResponseStart {
    /// A head with this status and no headers.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// A head with status 200 and no headers.
    #[must_use]
    pub fn ok() -> Self {
        Self::default()
    }

    /// Adds a header field; a field of the same name stays.
    ///
    /// # Panics
    ///
    /// When the name or the value cannot be a header field: for texts known to the program. Use
    /// [`headers`](Self::headers) for values that come from elsewhere.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        N::Error: std::fmt::Debug,
        V: TryInto<HeaderValue>,
        V::Error: std::fmt::Debug,
    {
        append_header(&mut self.headers, name, value);
        self
    }

    /// Announces trailer fields after the content.
    #[must_use]
    pub fn with_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }
}

/// A part of a response's content: `http.response.body`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseBody {
    /// The next bytes of the content; may be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more events follow. The content is whole when this is unset.
    pub more_body: bool,
}

impl HttpResponseBody {
    /// A part of the content; `more_body` says whether others follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
        }
    }

    /// A part that others follow. An empty one sends the head alone, if it has not been sent.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
        }
    }

    /// The last part, or the whole content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
        }
    }

    /// The end of a content that has been sent in parts.
    #[must_use]
    pub fn end() -> Self {
        Self::default()
    }
}

/// Header fields after the content: `http.response.trailers`. A feature.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseTrailers {
    /// The trailer fields.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::headers"))]
    pub headers: HeaderMap,
    /// Whether another such event follows.
    pub more_trailers: bool,
}

impl HttpResponseTrailers {
    /// Trailer fields that others follow.
    #[must_use]
    pub fn part(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: true,
        }
    }

    /// The last trailer fields, or all of them.
    #[must_use]
    pub fn last(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: false,
        }
    }
}

/// A file as the content: `http.response.pathsend`. A feature.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HttpResponsePathSend {
    /// An absolute path (rule `EXT-07`).
    pub path: PathBuf,
}

impl HttpResponsePathSend {
    /// The file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// Links to fetch early: `http.response.early_hint`. A feature.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseEarlyHint {
    /// Values of `link` fields (RFC 8297).
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::values"))]
    pub links: Vec<HeaderValue>,
}

impl HttpResponseEarlyHint {
    /// With these values of `link`.
    pub fn new(links: impl IntoIterator<Item = HeaderValue>) -> Self {
        Self {
            links: links.into_iter().collect(),
        }
    }
}

/// Facts for a test client: `http.response.debug`. A feature.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseDebug {
    /// The facts by name, such as the template that was rendered.
    pub info: BTreeMap<String, String>,
}

impl HttpResponseDebug {
    /// These facts.
    #[must_use]
    pub fn new(info: BTreeMap<String, String>) -> Self {
        Self { info }
    }
}

pub(super) fn append_header<N, V>(headers: &mut HeaderMap, name: N, value: V)
where
    N: TryInto<HeaderName>,
    N::Error: std::fmt::Debug,
    V: TryInto<HeaderValue>,
    V::Error: std::fmt::Debug,
{
    headers.append(
        name.try_into().expect("a valid header name"),
        value.try_into().expect("a valid header value"),
    );
}
