//! Properties of HTTP messages that the rules name: statuses without content, fields of the
//! connection, and fields that cannot be trailer fields.

use http::StatusCode;
use http::header::{self, HeaderName};

/// Returns whether a response with this status must not have content (rule `HTTP-22`): 204, 205 and
/// 304.
///
/// ```
/// use callgate::message::forbids_content;
/// use http::StatusCode;
///
/// assert!(forbids_content(StatusCode::RESET_CONTENT));
/// assert!(!forbids_content(StatusCode::OK));
/// ```
#[must_use]
pub fn forbids_content(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// Returns whether a field belongs to the connection and not to the message (rule `HTTP-18`; RFC
/// 9110, 7.6.1).
///
/// ```
/// use callgate::message::is_hop_by_hop;
/// use http::header;
///
/// assert!(is_hop_by_hop(&header::CONNECTION));
/// assert!(!is_hop_by_hop(&header::CONTENT_TYPE));
/// ```
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    match *name {
        header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => true,
        // The `http` crate has no constants for these two names.
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}

/// Returns whether a field cannot be a trailer field (rule `EXT-05`; RFC 9110, 6.5.1): fields of
/// framing, routing, authentication, request modifiers, response control and content format, and the
/// fields of the connection.
///
/// ```
/// use callgate::message::is_forbidden_trailer;
/// use http::HeaderName;
/// use http::header;
///
/// assert!(is_forbidden_trailer(&header::CONTENT_LENGTH));
/// assert!(!is_forbidden_trailer(&HeaderName::from_static("x-checksum")));
/// ```
#[must_use]
pub fn is_forbidden_trailer(name: &HeaderName) -> bool {
    // The crate `callgate-http1` has the same list in `is_forbidden_in_trailers`; neither crate
    // depends on the other. A name that is added to one list is added to both.
    is_hop_by_hop(name)
        || matches!(
            *name,
            // Framing.
            header::CONTENT_LENGTH | header::TRAILER
                // Routing.
                | header::HOST
                // Authentication.
                | header::AUTHORIZATION
                | header::COOKIE
                | header::PROXY_AUTHENTICATE
                | header::PROXY_AUTHORIZATION
                | header::SET_COOKIE
                | header::WWW_AUTHENTICATE
                // Request modifiers.
                | header::EXPECT
                | header::IF_MATCH
                | header::IF_MODIFIED_SINCE
                | header::IF_NONE_MATCH
                | header::IF_RANGE
                | header::IF_UNMODIFIED_SINCE
                | header::MAX_FORWARDS
                | header::PRAGMA
                | header::RANGE
                | header::TE
                // Response control.
                | header::AGE
                | header::CACHE_CONTROL
                | header::DATE
                | header::EXPIRES
                | header::LOCATION
                | header::RETRY_AFTER
                | header::VARY
                | header::WARNING
                // Content format.
                | header::CONTENT_ENCODING
                | header::CONTENT_RANGE
                | header::CONTENT_TYPE
        )
}
