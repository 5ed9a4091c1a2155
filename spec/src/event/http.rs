//! The events of HTTP exchanges.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};

use crate::header_methods;

/// A part of a request's content: `http.request`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpRequestBody {
    /// The next bytes of the content. May be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more body events follow. The content is complete with the event whose `more_body` is
    /// unset.
    pub more_body: bool,
    /// The trailer fields of the request, on the last event. `None` if the client sent none.
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
    /// Creates a part of the content. `more_body` states whether more parts follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
            trailers: None,
        }
    }

    /// Creates a part of the content that is not the last.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
            trailers: None,
        }
    }

    /// Creates the last part of the content, or the complete content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
            trailers: None,
        }
    }

    /// Sets the trailer fields, which are valid only on the last part.
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
    /// Whether trailer fields follow the content. This is a feature (rule `EXT-03`). Default false.
    #[cfg_attr(feature = "serde", serde(default))]
    pub trailers: bool,
}

impl HttpResponseStart {
    /// Creates the head of a response with this status and without header fields.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Creates the head of a response with status 200 and without header fields.
    #[must_use]
    pub fn ok() -> Self {
        Self::default()
    }

    header_methods!(event => event.headers);

    /// Announces trailer fields after the content.
    #[must_use]
    pub fn with_trailers(mut self) -> Self {
        self.trailers = true;
        self
    }

    /// Creates the [`http::Response`] with this head and this body.
    #[must_use]
    pub fn into_response<B>(self, body: B) -> http::Response<B> {
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A part of a response's content: `http.response.body`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseBody {
    /// The next bytes of the content. May be empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::bytes"))]
    pub body: Bytes,
    /// Whether more body events follow. The content is complete with the event whose `more_body` is
    /// unset.
    pub more_body: bool,
}

impl HttpResponseBody {
    /// Creates a part of the content. `more_body` states whether more parts follow.
    pub fn new(body: impl Into<Bytes>, more_body: bool) -> Self {
        Self {
            body: body.into(),
            more_body,
        }
    }

    /// Creates a part of the content that is not the last. An empty part sends only the head, or
    /// nothing if the head has been sent.
    pub fn part(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: true,
        }
    }

    /// Creates the last part of the content, or the complete content.
    pub fn last(body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            more_body: false,
        }
    }

    /// Creates an empty last part, which ends content that was sent in parts.
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
    /// Whether another `http.response.trailers` follows.
    pub more_trailers: bool,
}

impl HttpResponseTrailers {
    /// Creates trailer fields that are not the last.
    #[must_use]
    pub fn part(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: true,
        }
    }

    /// Creates the last trailer fields, or all of them.
    #[must_use]
    pub fn last(headers: HeaderMap) -> Self {
        Self {
            headers,
            more_trailers: false,
        }
    }
}

/// A file as the content of the response: `http.response.pathsend`. A feature.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HttpResponsePathSend {
    /// The absolute path of the file (rule `EXT-07`).
    pub path: PathBuf,
}

impl HttpResponsePathSend {
    /// Creates a path send of the file at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// Links to resources that the client can fetch before the response: `http.response.early_hint`. A
/// feature.
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
    /// Creates early hints with these values of the `link` field.
    pub fn new(links: impl IntoIterator<Item = HeaderValue>) -> Self {
        Self {
            links: links.into_iter().collect(),
        }
    }
}

/// Information for a test client: `http.response.debug`. A feature.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct HttpResponseDebug {
    /// The information by name, such as the rendered template.
    pub info: BTreeMap<String, String>,
}

impl HttpResponseDebug {
    /// Creates the event with this information.
    #[must_use]
    pub fn new(info: BTreeMap<String, String>) -> Self {
        Self { info }
    }
}
