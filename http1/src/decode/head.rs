//! The head of a request.

use http::{HeaderMap, Method, Uri, Version};

use crate::Persistence;

/// The head of a request, checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target. Its [form](Self::target_form) decides which of its parts it has.
    pub target: Uri,
    /// The form of the target.
    pub target_form: TargetForm,
    /// The version: HTTP/1.0 or HTTP/1.1. A higher minor version is read as HTTP/1.1 (RFC 9110,
    /// section 2.5).
    pub version: Version,
    /// The fields. The values share the read buffer; a value that lives long should be copied.
    pub headers: HeaderMap,
    /// Whether the client keeps the connection for another request (RFC 9112, section 9.3).
    pub persistence: Persistence,
    /// The client's expectation before it sends the content (RFC 9110, section 10.1.1).
    pub expectation: Expectation,
    /// Whether the client offers to change the protocol: an `upgrade` field together with the
    /// option `upgrade` in `connection`, in HTTP/1.1 (RFC 9110, section 7.8).
    pub offers_upgrade: bool,
}

/// The form of a request's target (RFC 9112, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetForm {
    /// A path, with or without a query: `/where?q=now`.
    Origin,
    /// A URI with scheme and authority: `http://example.com/where`. A server uses this authority and
    /// ignores the `host` field (RFC 9112, section 3.2.2).
    Absolute,
    /// A host and a port, with CONNECT only: `example.com:80`.
    Authority,
    /// `*`, with OPTIONS only.
    Asterisk,
}

/// The expectation of a client before it sends content (RFC 9110, section 10.1.1). A request of
/// HTTP/1.0 has none, and [`Continue`](Self::Continue) is for a request with content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expectation {
    /// The client sends the content without waiting.
    #[default]
    None,
    /// The client waits for `100 Continue` before it sends the content, though not for ever.
    Continue,
    /// An expectation that HTTP does not define. A server may respond with 417.
    Unknown,
}
