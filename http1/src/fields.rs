//! Fields whose meaning concerns the framing of messages.

use http::HeaderName;
use http::header;

/// Returns whether a trailer section may not have the field (RFC 9110, section 6.5.1): a recipient
/// needs the field before the content.
///
/// The crate `callgate` has the same list in `message::is_forbidden_trailer`; neither crate depends
/// on the other. A name that is added to one list is added to both.
pub(crate) fn is_forbidden_in_trailers(name: &HeaderName) -> bool {
    match *name {
        // Framing and the connection.
        header::CONNECTION
        | header::CONTENT_LENGTH
        | header::TRAILER
        | header::TRANSFER_ENCODING
        | header::UPGRADE => true,
        // Routing.
        header::HOST => true,
        // Authentication.
        header::AUTHORIZATION
        | header::COOKIE
        | header::PROXY_AUTHENTICATE
        | header::PROXY_AUTHORIZATION
        | header::SET_COOKIE
        | header::WWW_AUTHENTICATE => true,
        // Request modifiers.
        header::EXPECT
        | header::IF_MATCH
        | header::IF_MODIFIED_SINCE
        | header::IF_NONE_MATCH
        | header::IF_RANGE
        | header::IF_UNMODIFIED_SINCE
        | header::MAX_FORWARDS
        | header::PRAGMA
        | header::RANGE
        | header::TE => true,
        // Response control.
        header::AGE
        | header::CACHE_CONTROL
        | header::DATE
        | header::EXPIRES
        | header::LOCATION
        | header::RETRY_AFTER
        | header::VARY
        | header::WARNING => true,
        // Content format.
        header::CONTENT_ENCODING | header::CONTENT_RANGE | header::CONTENT_TYPE => true,
        // The `http` crate has no constants for these two names.
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}
