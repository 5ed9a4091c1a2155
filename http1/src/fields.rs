//! Fields of which the meaning concerns the framing of messages.

use http::HeaderName;
use http::header;

/// Returns whether a trailer section may not have the field: fields of framing, routing, request
/// modifiers, authentication, response control and content format (RFC 9110, section 6.5.1).
pub(crate) fn is_forbidden_in_trailers(name: &HeaderName) -> bool {
    const FORBIDDEN: [HeaderName; 34] = [
        header::AGE,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::DATE,
        header::EXPECT,
        header::EXPIRES,
        header::HOST,
        header::IF_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
        header::IF_UNMODIFIED_SINCE,
        header::LOCATION,
        header::MAX_FORWARDS,
        header::PRAGMA,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::RANGE,
        header::RETRY_AFTER,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VARY,
        header::WARNING,
        header::WWW_AUTHENTICATE,
        header::CONTENT_LOCATION,
    ];
    FORBIDDEN.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
