//! The parts of the serialised form that serde cannot derive. `serialised.md` describes this form.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Feature, HttpScope, Message, RequestScope, Scheme, State, TlsInfo, WebSocketScope};

/// Bytes, as a string if they are UTF-8, otherwise as `{"base64": "..."}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Octets<'a> {
    Text(Cow<'a, str>),
    Base64 { base64: Cow<'a, str> },
}

impl<'a> Octets<'a> {
    fn new(octets: &'a [u8]) -> Self {
        use base64::Engine as _;
        match std::str::from_utf8(octets) {
            Ok(text) => Self::Text(Cow::Borrowed(text)),
            Err(_) => Self::Base64 {
                base64: base64::engine::general_purpose::STANDARD
                    .encode(octets)
                    .into(),
            },
        }
    }

    fn into_vec<E: serde::de::Error>(self) -> Result<Vec<u8>, E> {
        use base64::Engine as _;
        match self {
            Self::Text(text) => Ok(text.into_owned().into_bytes()),
            Self::Base64 { base64 } => base64::engine::general_purpose::STANDARD
                .decode(base64.as_bytes())
                .map_err(E::custom),
        }
    }

    fn into_header_value<E: serde::de::Error>(self) -> Result<HeaderValue, E> {
        HeaderValue::try_from(self.into_vec::<E>()?).map_err(E::custom)
    }
}

pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        bytes: &::bytes::Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Octets::new(bytes).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<::bytes::Bytes, D::Error> {
        Ok(Octets::deserialize(deserializer)?
            .into_vec::<D::Error>()?
            .into())
    }
}

/// Header values, as a list.
pub(crate) mod values {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        values: &[HeaderValue],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| Octets::new(value.as_bytes())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<HeaderValue>, D::Error> {
        Vec::<Octets<'_>>::deserialize(deserializer)?
            .into_iter()
            .map(Octets::into_header_value)
            .collect()
    }
}

/// Header fields, as a list of pairs of name and value.
pub(crate) mod headers {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        headers: &HeaderMap,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), Octets::new(value.as_bytes()))),
        )
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderMap, D::Error> {
        let fields = Vec::<(Cow<'_, str>, Octets<'_>)>::deserialize(deserializer)?;
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(name.as_ref()).map_err(D::Error::custom)?;
            // A `HeaderMap` has a maximum size, and `append` panics beyond that size.
            headers
                .try_append(name, value.into_header_value()?)
                .map_err(D::Error::custom)?;
        }
        Ok(headers)
    }
}

/// Trailer fields that may be absent.
pub(crate) mod trailers {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        trailers: &Option<Box<HeaderMap>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match trailers {
            Some(trailers) => headers::serialize(trailers, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Box<HeaderMap>>, D::Error> {
        #[derive(Deserialize)]
        struct Fields(#[serde(with = "headers")] HeaderMap);

        Ok(Option::<Fields>::deserialize(deserializer)?.map(|Fields(headers)| Box::new(headers)))
    }
}

/// A status, as its number.
pub(crate) mod status {
    use super::*;
    use http::StatusCode;

    pub(crate) fn serialize<S: Serializer>(
        status: &StatusCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A message, under the key `text` or `bytes`. The other key is absent or null, as in ASGI.
#[derive(Serialize, Deserialize)]
struct MessageForm<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<ByteString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Octets<'a>>,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => MessageForm {
                text: Some(text.clone()),
                bytes: None,
            },
            Self::Binary(bytes) => MessageForm {
                text: None,
                bytes: Some(Octets::new(bytes)),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match MessageForm::deserialize(deserializer)? {
            MessageForm {
                text: Some(text),
                bytes: None,
            } => Ok(Self::Text(text)),
            MessageForm {
                text: None,
                bytes: Some(bytes),
            } => Ok(Self::Binary(bytes.into_vec::<D::Error>()?.into())),
            _ => Err(D::Error::custom(
                "a message has either `text` or `bytes`, and not both",
            )),
        }
    }
}

/// The serialised form of HTTP and WebSocket scopes, with ASGI's keys.
#[derive(Serialize, Deserialize)]
struct ScopeForm<'a> {
    http_version: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    scheme: Cow<'a, str>,
    /// The decoded path, for people. Deserialising ignores this key, because `raw_path` contains
    /// the same information.
    #[serde(default, skip_deserializing)]
    path: Cow<'a, str>,
    raw_path: Cow<'a, str>,
    #[serde(default)]
    query_string: Option<Cow<'a, str>>,
    #[serde(default)]
    root_path: ByteString,
    #[serde(default, with = "headers")]
    headers: HeaderMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subprotocols: Option<Vec<ByteString>>,
    #[serde(default)]
    client: Option<(IpAddr, u16)>,
    #[serde(default)]
    server: Option<(IpAddr, u16)>,
    /// The offered features, under ASGI's name for features.
    #[serde(default)]
    extensions: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<TlsInfo>,
}

impl ScopeForm<'_> {
    fn uri<E: serde::de::Error>(&self) -> Result<Uri, E> {
        let is_path = self.raw_path.starts_with('/') || self.raw_path == "*";
        if !is_path || self.raw_path.contains(['?', '#']) {
            return Err(E::custom(format_args!(
                "`raw_path` is a path that begins with `/`, or `*`, and not `{}`",
                self.raw_path
            )));
        }
        match &self.query_string {
            Some(query) => format!("{}?{query}", self.raw_path).parse(),
            None => self.raw_path.parse(),
        }
        .map_err(E::custom)
    }

    /// Returns the scheme. `name` returns the name of a scheme for this kind of scope.
    fn scheme<E: serde::de::Error>(&self, name: fn(Scheme) -> &'static str) -> Result<Scheme, E> {
        [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|scheme| name(*scheme) == self.scheme)
            .ok_or_else(|| E::custom(format_args!("unknown scheme `{}`", self.scheme)))
    }

    fn version<E: serde::de::Error>(&self) -> Result<Version, E> {
        [
            Version::HTTP_09,
            Version::HTTP_10,
            Version::HTTP_11,
            Version::HTTP_2,
            Version::HTTP_3,
        ]
        .into_iter()
        .find(|version| version_name(*version) == self.http_version)
        .ok_or_else(|| E::custom(format_args!("unknown HTTP version `{}`", self.http_version)))
    }

    /// Converts the form into the common part of both kinds of scope. Features of later versions
    /// are ignored.
    fn request<E: serde::de::Error>(
        self,
        scheme_name: fn(Scheme) -> &'static str,
    ) -> Result<RequestScope, E> {
        let is_offered = |feature: &Feature| self.extensions.iter().any(|it| it == feature.name());
        Ok(RequestScope {
            uri: self.uri()?,
            version: self.version()?,
            scheme: self.scheme(scheme_name)?,
            features: Feature::ALL.into_iter().filter(is_offered).collect(),
            headers: self.headers,
            root_path: self.root_path,
            client: self.client.map(SocketAddr::from),
            server: self.server.map(SocketAddr::from),
            state: State::new(),
            extensions: http::Extensions::new(),
            tls: self.tls.map(Arc::new),
        })
    }
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn to_pair(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip(), address.port())
}

impl RequestScope {
    /// Returns the serialised form of the common part, with this name of the scheme. The keys of
    /// one kind of scope are absent.
    fn form(&self, scheme: &'static str) -> ScopeForm<'_> {
        ScopeForm {
            http_version: version_name(self.version).into(),
            method: None,
            scheme: scheme.into(),
            path: self.path(),
            raw_path: self.raw_path().into(),
            query_string: self.uri.query().map(Cow::Borrowed),
            root_path: self.root_path.clone(),
            headers: self.headers.clone(),
            subprotocols: None,
            client: self.client.map(to_pair),
            server: self.server.map(to_pair),
            extensions: self
                .features
                .iter()
                .map(|feature| feature.name().into())
                .collect(),
            tls: self.tls.as_deref().cloned(),
        }
    }
}

impl Serialize for HttpScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ScopeForm {
            method: Some(self.method.as_str().into()),
            ..self.request.form(self.scheme.as_str())
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HttpScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = ScopeForm::deserialize(deserializer)?;
        let method = form
            .method
            .as_deref()
            .ok_or_else(|| D::Error::missing_field("method"))?;
        Ok(Self {
            method: Method::from_bytes(method.as_bytes()).map_err(D::Error::custom)?,
            request: form.request(Scheme::as_str)?,
        })
    }
}

impl Serialize for WebSocketScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ScopeForm {
            subprotocols: Some(self.subprotocols.clone()),
            ..self.request.form(self.scheme.as_websocket_str())
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WebSocketScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut form = ScopeForm::deserialize(deserializer)?;
        Ok(Self {
            subprotocols: form.subprotocols.take().unwrap_or_default(),
            request: form.request(Scheme::as_websocket_str)?,
        })
    }
}
