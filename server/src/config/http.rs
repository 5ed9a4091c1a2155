//! The settings that both versions of HTTP have.

use http::header::{self, HeaderName, HeaderValue};

use super::kind::{Choice, Many, Parsed};
use super::setting::settings;
use super::values::SWITCH;

settings! {
    /// HTTP in all its versions.
    http: Http {
        /// The versions of HTTP to serve: 1, 2 or auto, for the version that the client speaks.
        ///
        /// The first octets of a connection tell which version it is. HTTP/2 without TLS is served to
        /// clients with prior knowledge. A server that is built without the cargo feature `http2` speaks
        /// HTTP/1 alone.
        http => versions: (HttpVersions) = "auto" as VERSIONS;

        /// Add `server: callgate` to responses without a `server` field.
        server_header => server_header: (bool) = "true" as SWITCH;

        /// Add `date` to responses without one.
        date_header => date_header: (bool) = "true" as SWITCH;

        /// Add this field to responses without a field of the name; may be given repeatedly.
        header => headers: [(HeaderName, HeaderValue)] = "none" as HEADERS;
    }
}

/// The versions of HTTP that a server speaks on its listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersions {
    /// HTTP/1 and HTTP/2, detected by the first bytes of each connection. Without the cargo feature
    /// `http2`, the same as `Http1`.
    #[default]
    Auto,
    /// HTTP/1.0 and HTTP/1.1 only.
    Http1,
    /// HTTP/2 by prior knowledge only.
    #[cfg(feature = "http2")]
    Http2,
}

const VERSIONS: Choice<HttpVersions> = Choice {
    name: "VERSION",
    words: &[
        ("auto", HttpVersions::Auto),
        ("1", HttpVersions::Http1),
        #[cfg(feature = "http2")]
        ("2", HttpVersions::Http2),
    ],
    remedy: match cfg!(feature = "http2") {
        true => "give auto, 1 or 2",
        false => "give auto or 1; this server is built without HTTP/2 (cargo feature `http2`)",
    },
};

const HEADERS: Many<(HeaderName, HeaderValue)> = Many {
    name: "NAME:VALUE",
    separator: '\n',
    parse: header,
    show: |(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())),
};

fn header(text: &str) -> Parsed<(HeaderName, HeaderValue)> {
    let (name, value) =
        (text.split_once(':')).ok_or("give NAME:VALUE, such as x-frame-options:DENY")?;
    let name: HeaderName =
        (name.trim().parse()).map_err(|_| "give a header name of letters, digits and -")?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| "give a header value without control characters")?;
    match name {
        header::CONNECTION
        | header::CONTENT_LENGTH
        | header::TRANSFER_ENCODING
        | header::UPGRADE => Err("give another header; the server sets this one itself"),
        _ => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind as _;
    use super::*;

    #[test]
    fn http2_is_a_value_only_where_it_is_built() {
        let parsed = VERSIONS.parse(&["2"]);
        assert_eq!(parsed.is_ok(), cfg!(feature = "http2"));
        if let Err(wrong) = parsed {
            assert!(wrong.remedy.contains("`http2`"), "{wrong:?}");
        }
        for text in ["1", "auto"] {
            assert!(VERSIONS.parse(&[text]).is_ok());
        }
    }
}
