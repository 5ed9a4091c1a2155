//! The trace context of a request: the fields `traceparent` and `tracestate` (W3C Trace Context, level 2).

use http::header::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The largest `tracestate` that is taken, in octets (section 3.3.1.5: at least 512).
const MAX_STATE: usize = 512;

/// The largest number of members of a `tracestate` (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// The trace that a request belongs to, and the span that has caused the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
    state: String,
}

impl TraceContext {
    /// Returns the context that the fields of a request tell; `None` without one valid `traceparent`. A
    /// `tracestate` that is too large or has other octets than visible ASCII is empty.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (value, further) = (values.next()?, values.next());
        let context = Self::parse(value.to_str().ok()?)?;
        match further {
            Some(_) => None,
            None => Some(Self {
                state: state(headers).unwrap_or_default(),
                ..context
            }),
        }
    }

    /// Reads a `traceparent`. A higher version than 00 may have more behind the flags (section 4.3).
    fn parse(text: &str) -> Option<Self> {
        let version = number(text.get(..2)?)?;
        let is_separated = [2, 35, 52]
            .iter()
            .all(|&at| text.as_bytes().get(at) == Some(&b'-'));
        let has_end = match text.as_bytes().get(55) {
            None => true,
            Some(&next) => version > 0 && next == b'-',
        };
        if version == 0xff || !is_separated || !has_end {
            return None;
        }
        let context = Self {
            trace_id: number(text.get(3..35)?)?,
            parent_id: u64::try_from(number(text.get(36..52)?)?).ok()?,
            flags: u8::try_from(number(text.get(53..55)?)?).ok()?,
            state: String::new(),
        };
        (context.trace_id != 0 && context.parent_id != 0).then_some(context)
    }

    /// Returns the identifier of the trace, which is not 0.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the identifier of the span that has caused the request, which is not 0.
    #[must_use]
    pub fn parent_id(&self) -> u64 {
        self.parent_id
    }

    /// Returns the flags: bit 0 says that the caller records the trace, and bit 1 that the identifier of the
    /// trace is random.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns the value of `tracestate`; empty without one. Only its size and its octets have been checked.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

/// Reads a number of lower-case hexadecimal digits.
fn number(text: &str) -> Option<u128> {
    let is_digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.bytes().all(is_digit);
    is_number
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// Returns the value of all `tracestate` fields; `None` if it is too large or malformed.
fn state(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(TRACESTATE).iter();
    let values: Result<Vec<_>, _> = values.map(|value| value.to_str()).collect();
    let state = values.ok()?.join(",");
    let is_taken = state.len() <= MAX_STATE && state.split(',').count() <= MAX_MEMBERS;
    is_taken.then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_traceparent_has_a_version_two_identifiers_and_flags() {
        let expected = TraceContext {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            parent_id: 0xb7ad_6b71_6920_3331,
            flags: 3,
            state: String::new(),
        };
        for text in [
            format!("00-{TRACE}-b7ad6b7169203331-03"),
            format!("cc-{TRACE}-b7ad6b7169203331-03"),
            format!("cc-{TRACE}-b7ad6b7169203331-03-what-the-future-will-be-like"),
        ] {
            assert_eq!(TraceContext::parse(&text), Some(expected.clone()), "{text}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".into(),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("0-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("cc-{TRACE}-b7ad6b7169203331-01.more"),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-b7ad6b7169203331-0"),
            format!("00-{TRACE}-b7ad6b7169203331-+1"),
            format!("00-{TRACE}_b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", &TRACE[1..]),
            format!("00-{TRACE}-b7ad6b7169203331-é1"),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn the_fields_of_a_request_have_one_traceparent_and_any_number_of_states() {
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let of = |fields: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(name, value.parse().unwrap());
            }
            TraceContext::of(&headers)
        };
        assert_eq!(of(&[(TRACESTATE, "a=b")]), None);
        assert_eq!(of(&[(TRACEPARENT, &parent), (TRACEPARENT, &parent)]), None);
        let context = of(&[
            (TRACEPARENT, &parent),
            (TRACESTATE, "a=b"),
            (TRACESTATE, "c=d"),
        ]);
        assert_eq!(context.unwrap().state(), "a=b,c=d");
        let (long, many) = ("x".repeat(MAX_STATE + 1), "a=b,".repeat(MAX_MEMBERS));
        for state in [&*long, &many, "a=\t"] {
            let context = of(&[(TRACEPARENT, &parent), (TRACESTATE, state)]).unwrap();
            assert_eq!(
                (context.flags(), context.state().len() < 5),
                (1, true),
                "{state}"
            );
        }
    }
}
