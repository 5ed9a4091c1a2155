//! The reasons for which responses cannot be encoded.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// The reason for which a response cannot be encoded. A call that returns an error has written
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The status of a final response is 1xx, which is for interim responses and for a change of
    /// protocol (RFC 9110, section 15.2).
    InterimStatus(StatusCode),
    /// The `content-length` is not made of digits, or is given more than once with different values
    /// (RFC 9110, section 8.6).
    MalformedContentLength,
    /// The `content-length` differs from the length of the content that the caller has (RFC 9110,
    /// section 8.6).
    DifferentContentLength {
        /// The value of the field.
        field: u64,
        /// The length of the content.
        content: u64,
    },
    /// A response of status 205 has content (RFC 9110, section 15.3.6).
    ContentOfResetContent,
    /// There is more content than `content-length` says (RFC 9112, section 6.2).
    TooMuchContent {
        /// How many octets of content were still to come.
        remaining: u64,
        /// How many octets of content the caller has.
        length: u64,
    },
    /// There is less content than `content-length` says. The connection must be closed, so that the
    /// client sees that content is missing (RFC 9112, section 6.3).
    TooLittleContent {
        /// How many octets of content were still to come.
        remaining: u64,
    },
    /// A whole response to CONNECT has this 2xx status, with which a tunnel begins (RFC 9110, section
    /// 9.3.6).
    OpensTunnel(StatusCode),
    /// The client has not offered to change the protocol (RFC 9110, section 7.8).
    UpgradeNotOffered,
    /// A response of status 101 has no `upgrade` field (RFC 9110, section 7.8).
    MissingUpgradeField,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterimStatus(status) => {
                write!(
                    f,
                    "{} is not the status of a final response",
                    status.as_u16()
                )
            }
            Self::MalformedContentLength => f.write_str("`content-length` is malformed"),
            Self::DifferentContentLength { field, content } => write!(
                f,
                "`content-length` is {field}, and the content has {content} octets"
            ),
            Self::ContentOfResetContent => f.write_str("a response of status 205 has content"),
            Self::TooMuchContent { remaining, length } => write!(
                f,
                "there are {length} octets of content, and `content-length` leaves {remaining}"
            ),
            Self::TooLittleContent { remaining } => write!(
                f,
                "the content ends {remaining} octets before its `content-length`"
            ),
            Self::OpensTunnel(status) => write!(
                f,
                "a response of status {} to CONNECT opens a tunnel and is not whole",
                status.as_u16()
            ),
            Self::UpgradeNotOffered => {
                f.write_str("the client has not offered to change the protocol")
            }
            Self::MissingUpgradeField => {
                f.write_str("a response of status 101 has no `upgrade` field")
            }
        }
    }
}

impl Error for EncodeError {}
