//! What `h2` refuses by itself, without a call of the service.
//!
//! `h2` answers a header section that is too large with 431, and ends a connection that has reached one of
//! the limits of `h2` with GOAWAY. It reports neither but in what it sends and in the text of its error.

use std::error::Error as _;

use crate::limit::Limit;

/// The longest header section of [`is_refused_head`], in octets.
pub(super) const LONGEST: usize = 5;

/// The literal field `:status: 431`, which enters the dynamic table (RFC 7541, 6.2.1).
const LITERAL: [u8; LONGEST] = [0x48, 0x83, 0x69, 0x90, 0xff];

/// The first octet of a reference to the dynamic table (RFC 7541, 6.1).
const FIRST_DYNAMIC: u8 = 0x80 | 62;

/// Returns whether a header section that ends its stream is the 431 of `h2`: `:status` and no other field.
///
/// `has_refused` says whether the connection has had one, which entered the dynamic table. A status that
/// stands alone in another response is one of the static table, unless `--no-server-header` and
/// `--no-date-header` are both given.
pub(super) fn is_refused_head(section: &[u8], has_refused: bool) -> bool {
    match section {
        [FIRST_DYNAMIC..=0xfe] | [0xff, 0..0x80] => has_refused,
        section => section == LITERAL,
    }
}

/// Returns the limit for which `h2` has ended a connection. The debug data of its GOAWAY frame names it.
pub(super) fn limit_of(error: &hyper::Error) -> Option<Limit> {
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    if !error.is_library() || error.reason() != Some(h2::Reason::ENHANCE_YOUR_CALM) {
        return None;
    }
    let text = error.to_string();
    let is_named = |names: &[&str]| names.iter().any(|name| text.contains(name));
    Some(if is_named(&["header_list", "continuations"]) {
        Limit::RequestHead
    } else if is_named(&["resets"]) {
        Limit::Http2Resets
    } else {
        Limit::Http2ControlFrames
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_the_static_table_is_no_refusal() {
        assert!(is_refused_head(&LITERAL, false));
        for section in [&[FIRST_DYNAMIC][..], &[0xff, 3]] {
            assert!(is_refused_head(section, true));
            assert!(!is_refused_head(section, false));
        }
        for section in [&[][..], &[0x88], &[0x8e], &[FIRST_DYNAMIC, FIRST_DYNAMIC]] {
            assert!(!is_refused_head(section, true));
        }
    }
}
