//! What an application has answered, in a form that can be compared.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};

use bytes::{Bytes, BytesMut};
use callgate::{HttpResponseStart, Message, SendEvent};
use http::HeaderMap;
use http::header::HeaderName;

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
        let head = |answer: &Self| answer.head.as_ref().map(|head| fields(&head.headers));
        if status(self) != status(other) {
            return Some(Difference {
                what: "status",
                one: status(self),
                other: status(other),
            });
        }
        if head(self) != head(other) {
            return Difference::of("header fields", head(self), head(other));
        }
        if !self.content.is_same(&other.content, extent) {
            return Difference::of("content", &self.content, &other.content);
        }
        if fields(&self.trailers) != fields(&other.trailers) {
            return Difference::of("trailer fields", &self.trailers, &other.trailers);
        }
        let mut pairs = self.others.iter().zip(&other.others);
        if let Some((one, another)) = pairs.find(|(one, another)| !is_same(one, another, &fields)) {
            return Difference::of("event", one, another);
        }
        if extent == Extent::Begun {
            return None;
        }
        let shorter = self.others.len().min(other.others.len());
        let extra = |answer: &Self| answer.others.get(shorter).cloned();
        match (extra(self), extra(other)) {
            (None, None) => None,
            (one, another) => Difference::of("event", one, another),
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

/// In what two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: &'static str,
    pub(crate) one: String,
    pub(crate) other: String,
}

impl Difference {
    fn of(what: &'static str, one: impl fmt::Debug, other: impl fmt::Debug) -> Option<Self> {
        Some(Self {
            what,
            one: format!("{one:?}"),
            other: format!("{other:?}"),
        })
    }
}

impl fmt::Display for &Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes: {}",
            self.length,
            self.beginning.escape_ascii()
        )
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
