//! What `h2` refuses by itself, without a call of the service.
//!
//! `h2` answers a header section that is too large with 431, and ends a connection that has reached one of
//! the limits of `h2` with GOAWAY. Only the frames that it sends show which.

use crate::limit::Limit;

/// The longest header section of [`is_refused_head`], in octets.
pub(super) const HEAD_OCTETS: usize = 5;

/// The literal field `:status: 431`, which enters the dynamic table (RFC 7541, 6.2.1).
const LITERAL: [u8; HEAD_OCTETS] = [0x48, 0x83, 0x69, 0x90, 0xff];

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

/// The octets of the payload of a GOAWAY frame before its debug data (RFC 9113, 6.8).
const BEFORE_DEBUG_DATA: usize = 8;

/// The octets of the payload by which [`limit_of_goaway`] recognises a limit.
pub(super) const GOAWAY_OCTETS: usize = BEFORE_DEBUG_DATA + 10;

/// Returns the limit for which `h2` ends a connection, from the first octets of the GOAWAY frame: `h2` names the
/// limit in the debug data.
pub(super) fn limit_of_goaway(payload: &[u8]) -> Option<Limit> {
    match payload.get(BEFORE_DEBUG_DATA..GOAWAY_OCTETS)? {
        // `header_list_way_too_large`, `too_many_continuations`.
        b"header_lis" | b"too_many_c" => Some(Limit::RequestHead),
        // `too_many_resets`, `too_many_internal_resets`.
        b"too_many_r" | b"too_many_i" => Some(Limit::Http2Resets),
        // `too_many_data_frames`.
        b"too_many_d" => Some(Limit::Http2ControlFrames),
        _ => None,
    }
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
