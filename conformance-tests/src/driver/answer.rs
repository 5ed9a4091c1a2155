//! What an application has answered, in a form that can be compared.

use std::hash::{DefaultHasher, Hasher as _};

use bytes::{Bytes, BytesMut};
use callgate::{HttpResponseStart, Message, SendEvent};
use http::HeaderMap;
use http::header::HeaderName;

use super::Difference;

/// The content that is kept, in bytes; of the rest there is a hash.
const KEPT: usize = 64 * 1024;

/// An HTTP response, whole, however it was divided; and every other event that was sent, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) head: Option<HttpResponseStart>,
    pub(crate) content: Content,
    pub(crate) trailers: HeaderMap,
    pub(crate) others: Vec<SendEvent>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    hasher: DefaultHasher,
    pub(crate) length: usize,
    pub(crate) beginning: BytesMut,
}

impl Content {
    fn push(&mut self, part: &[u8]) {
        self.hasher.write(part);
        self.length += part.len();
        let room = KEPT - self.beginning.len().min(KEPT);
        self.beginning
            .extend_from_slice(&part[..part.len().min(room)]);
    }

    fn is_same(&self, other: &Self, extent: Extent) -> bool {
        match extent {
            Extent::Whole => {
                self.length == other.length && self.hasher.finish() == other.hasher.finish()
            }
            Extent::Begun => {
                let both = self.beginning.len().min(other.beginning.len());
                self.beginning[..both] == other.beginning[..both]
            }
        }
    }
}

/// How much of two answers is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them.
    Whole,
    /// What both have got to. Answers that the client did not wait for end somewhere by chance.
    Begun,
}

impl Answer {
    pub(crate) fn push(&mut self, event: &SendEvent) {
        match event {
            SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
                self.head = Some(start.clone());
            }
            SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => {
                self.content.push(&body.body);
            }
            SendEvent::HttpResponseTrailers(trailers) => {
                for (name, value) in &trailers.headers {
                    self.trailers.append(name, value.clone());
                }
            }
            // Not the octets themselves, which may be counted.
            SendEvent::WebSocketSend(Message::Binary(octets)) => {
                let octets = Bytes::copy_from_slice(octets);
                self.others.push(Message::Binary(octets).into());
            }
            SendEvent::WebSocketSend(Message::Text(text)) => {
                self.others.push(Message::text(&**text).into());
            }
            other => self.others.push(other.clone()),
        }
    }

    /// The first thing in which this and `other` differ, but for the fields that are `ignored`.
    pub(crate) fn difference(
        &self,
        other: &Self,
        ignored: &[HeaderName],
        extent: Extent,
    ) -> Option<Difference> {
        let status = |answer: &Self| {
            let head = answer.head.as_ref();
            head.map_or("none".into(), |head| head.status.as_str().to_owned())
        };
        let fields = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            for name in ignored {
                headers.remove(name);
            }
            headers
        };
        let head = |answer: &Self| {
            let head = answer.head.as_ref();
            head.map(|head| fields(&head.headers)).unwrap_or_default()
        };
        let trailers = |answer: &Self| fields(&answer.trailers);
        if status(self) != status(other) {
            return Some(Difference::of_statuses(status(self), status(other)));
        }
        let (one, another) = (head(self), head(other));
        if one != another {
            return Some(Difference::of_fields("header fields", &one, &another));
        }
        if !self.content.is_same(&other.content, extent) {
            return Some(Difference::of_contents(&self.content, &other.content));
        }
        let (one, another) = (trailers(self), trailers(other));
        if one != another {
            return Some(Difference::of_fields("trailer fields", &one, &another));
        }
        let mut pairs = self.others.iter().zip(&other.others);
        if let Some((one, another)) = pairs.find(|(one, another)| !is_same(one, another, &fields)) {
            return Some(Difference::of_events(Some(one), Some(another)));
        }
        if extent == Extent::Begun {
            return None;
        }
        let shorter = self.others.len().min(other.others.len());
        match (self.others.get(shorter), other.others.get(shorter)) {
            (None, None) => None,
            (one, another) => Some(Difference::of_events(one, another)),
        }
    }
}

fn is_same(
    one: &SendEvent,
    another: &SendEvent,
    fields: &impl Fn(&HeaderMap) -> HeaderMap,
) -> bool {
    match (one, another) {
        (SendEvent::WebSocketAccept(one), SendEvent::WebSocketAccept(another)) => {
            one.subprotocol == another.subprotocol
                && fields(&one.headers) == fields(&another.headers)
        }
        // What start-up hands over are values of one process.
        (SendEvent::LifespanStartupComplete(_), SendEvent::LifespanStartupComplete(_)) => true,
        _ => one == another,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate::HttpResponseBody;

    fn answer(parts: &[&'static str]) -> Answer {
        let mut answer = Answer::default();
        for &part in parts {
            answer.push(&HttpResponseBody::part(part).into());
        }
        answer
    }

    #[test]
    fn what_was_cut_is_compared_as_far_as_both_go() {
        let long = answer(&["tick", "tick"]);
        let differs = |other: &Answer, extent| long.difference(other, &[], extent).is_some();
        assert!(differs(&answer(&["tick"]), Extent::Whole));
        assert!(!differs(&answer(&["tick"]), Extent::Begun));
        assert!(!differs(&answer(&["ti", "ckti"]), Extent::Begun));
        assert!(differs(&answer(&["tock"]), Extent::Begun));
        assert!(!differs(&answer(&["ticktick"]), Extent::Whole));
    }

    #[test]
    fn a_difference_is_shown_as_a_person_writes_it() {
        let shown = |one: &Answer, other: &Answer| {
            let difference = one.difference(other, &[], Extent::Whole).unwrap();
            [difference.what.to_owned(), difference.one, difference.other]
        };
        assert_eq!(
            shown(&answer(&["tick\n"]), &answer(&["to", "ck"])),
            ["content", r#""tick\n" (5 bytes)"#, r#""tock" (4 bytes)"#]
        );

        let head = |value| {
            let mut answer = Answer::default();
            answer.push(&HttpResponseStart::ok().header("a", value).into());
            answer
        };
        assert_eq!(
            shown(&head("1"), &head("2")),
            ["header fields", "a: 1", "a: 2"]
        );

        let mut message = Answer::default();
        message.push(&Message::text("hi").into());
        assert_eq!(
            shown(&message, &Answer::default()),
            ["event", r#"websocket.send "hi""#, "nothing"]
        );
    }

    #[test]
    fn of_long_contents_the_place_is_shown_where_they_differ() {
        let content = |last| {
            let mut answer = Answer::default();
            for part in [&b"0123456789".repeat(1000)[..], last] {
                answer.push(&HttpResponseBody::part(part.to_vec()).into());
            }
            answer
        };
        let (one, other) = (content(b"one"), content(b"another"));
        let difference = one.difference(&other, &[], Extent::Whole).unwrap();
        let digits = "0123456789".repeat(4);
        assert_eq!(
            [difference.one, difference.other],
            [
                format!(r#""{digits}one" (from byte 9960 of 10003)"#),
                format!(r#""{digits}another" (from byte 9960 of 10007)"#),
            ]
        );
    }

    #[test]
    fn events_that_the_client_did_not_wait_for_are_no_difference() {
        let mut one = Answer::default();
        one.push(&Message::text("first").into());
        let mut more = one.clone();
        more.push(&Message::text("second").into());
        assert!(one.difference(&more, &[], Extent::Whole).is_some());
        assert!(one.difference(&more, &[], Extent::Begun).is_none());
        let mut other = Answer::default();
        other.push(&Message::text("another").into());
        assert!(other.difference(&more, &[], Extent::Begun).is_some());
    }
}
