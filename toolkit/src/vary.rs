//! The field `vary` (RFC 9110, 12.5.5).

use http::HeaderMap;
use http::header::{HeaderValue, VARY};

/// Adds the name of a field to `vary`, unless the response has it there already.
pub(crate) fn add_vary(headers: &mut HeaderMap, name: &'static str) {
    let is_listed = headers.get_all(VARY).iter().any(|list| {
        let names = list.as_bytes().split(|byte| *byte == b',');
        let mut names = names.map(<[u8]>::trim_ascii);
        names.any(|listed| listed == b"*" || listed.eq_ignore_ascii_case(name.as_bytes()))
    });
    if !is_listed {
        headers.append(VARY, HeaderValue::from_static(name));
    }
}
