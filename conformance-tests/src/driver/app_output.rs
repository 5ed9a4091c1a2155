//! Everything that an application has sent in one exchange, in a form that can be compared.

use bytes::Bytes;
use callgate::{HttpResponseStart, Message, SendEvent};
use http::HeaderMap;
use http::header::HeaderName;

use super::content_prefix::ContentPrefix;
use super::difference::Difference;

/// An HTTP response, independent of its division into events, and every other sent event in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppOutput {
    pub(crate) head: Option<HttpResponseStart>,
    pub(crate) content: ContentPrefix,
    trailers: HeaderMap,
    other_events: Vec<SendEvent>,
}

/// The parts of two outputs that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// The outputs are equal.
    Complete,
    /// The outputs are equal up to the end of the shorter one. This is for outputs that were cut off
    /// at a random place, because the client disconnected.
    UpToShorter,
}

impl AppOutput {
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
            // The message is copied: a clone would count as bytes that the application holds.
            SendEvent::WebSocketSend(Message::Binary(octets)) => {
                let octets = Bytes::copy_from_slice(octets);
                self.other_events.push(Message::Binary(octets).into());
            }
            SendEvent::WebSocketSend(Message::Text(text)) => {
                self.other_events.push(Message::text(&**text).into());
            }
            other => self.other_events.push(other.clone()),
        }
    }

    /// Calls `edit` with each set of header and trailer fields in the output.
    pub(crate) fn edit_fields(&mut self, edit: impl Fn(&mut HeaderMap)) {
        if let Some(head) = &mut self.head {
            edit(&mut head.headers);
        }
        edit(&mut self.trailers);
        for event in &mut self.other_events {
            if let SendEvent::WebSocketAccept(accept) = event {
                edit(&mut accept.headers);
            }
        }
    }

    /// Returns the first difference between this output and `other`, without the fields that are
    /// `ignored`.
    pub(crate) fn first_difference(
        &self,
        other: &Self,
        ignored: &[HeaderName],
        comparison: Comparison,
    ) -> Option<Difference> {
        let (first, second) = (self.without(ignored), other.without(ignored));
        if first.status() != second.status() {
            return Some(Difference::of_statuses(first.status(), second.status()));
        }
        let (fields, other_fields) = (first.head_fields(), second.head_fields());
        if fields != other_fields {
            let what = "header fields";
            return Some(Difference::of_fields(what, &fields, &other_fields));
        }
        let is_same_content = match comparison {
            Comparison::Complete => first.content.equals(&second.content),
            Comparison::UpToShorter => first.content.agrees_with(&second.content),
        };
        if !is_same_content {
            return Some(Difference::of_contents(&first.content, &second.content));
        }
        if first.trailers != second.trailers {
            let what = "trailer fields";
            let (fields, other_fields) = (&first.trailers, &second.trailers);
            return Some(Difference::of_fields(what, fields, other_fields));
        }
        let (events, other_events) = (&first.other_events, &second.other_events);
        let mut pairs = events.iter().zip(other_events);
        if let Some((event, other)) = pairs.find(|(event, other)| !is_same(event, other)) {
            return Some(Difference::of_events(Some(event), Some(other)));
        }
        let shorter = events.len().min(other_events.len());
        match (events.get(shorter), other_events.get(shorter)) {
            (None, None) => None,
            _ if comparison == Comparison::UpToShorter => None,
            (event, other) => Some(Difference::of_events(event, other)),
        }
    }

    fn without(&self, ignored: &[HeaderName]) -> Self {
        let mut output = self.clone();
        output.edit_fields(|fields| {
            for name in ignored {
                fields.remove(name);
            }
        });
        output
    }

    fn status(&self) -> String {
        self.head
            .as_ref()
            .map_or("none".into(), |head| head.status.as_str().to_owned())
    }

    fn head_fields(&self) -> HeaderMap {
        self.head
            .as_ref()
            .map(|head| head.headers.clone())
            .unwrap_or_default()
    }
}

fn is_same(event: &SendEvent, other: &SendEvent) -> bool {
    match (event, other) {
        // The state that start-up hands over consists of values of one process.
        (SendEvent::LifespanStartupComplete(_), SendEvent::LifespanStartupComplete(_)) => true,
        _ => event == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callgate::HttpResponseBody;

    fn output(parts: &[&'static str]) -> AppOutput {
        let mut output = AppOutput::default();
        for &part in parts {
            output.push(&HttpResponseBody::part(part).into());
        }
        output
    }

    #[test]
    fn outputs_that_were_cut_off_are_compared_up_to_the_shorter_one() {
        let long = output(&["tick", "tick"]);
        let differs =
            |other: &AppOutput, comparison| long.first_difference(other, &[], comparison).is_some();
        assert!(differs(&output(&["tick"]), Comparison::Complete));
        assert!(!differs(&output(&["tick"]), Comparison::UpToShorter));
        assert!(!differs(&output(&["ti", "ckti"]), Comparison::UpToShorter));
        assert!(differs(&output(&["tock"]), Comparison::UpToShorter));
        assert!(!differs(&output(&["ticktick"]), Comparison::Complete));
    }

    #[test]
    fn a_difference_is_shown_as_a_person_writes_it() {
        let shown = |first: &AppOutput, second: &AppOutput| {
            let difference = first
                .first_difference(second, &[], Comparison::Complete)
                .unwrap();
            [
                difference.what.to_owned(),
                difference.first,
                difference.second,
            ]
        };
        assert_eq!(
            shown(&output(&["tick\n"]), &output(&["to", "ck"])),
            ["content", r#""tick\n" (5 bytes)"#, r#""tock" (4 bytes)"#]
        );

        let head = |value| {
            let mut output = AppOutput::default();
            output.push(&HttpResponseStart::ok().header("a", value).into());
            output
        };
        assert_eq!(
            shown(&head("1"), &head("2")),
            ["header fields", "a: 1", "a: 2"]
        );

        let mut message = AppOutput::default();
        message.push(&Message::text("hi").into());
        assert_eq!(
            shown(&message, &AppOutput::default()),
            ["event", r#"websocket.send "hi""#, "nothing"]
        );
    }

    #[test]
    fn long_contents_are_shown_where_they_differ() {
        let content = |last| {
            let mut output = AppOutput::default();
            for part in [&b"0123456789".repeat(1000)[..], last] {
                output.push(&HttpResponseBody::part(part.to_vec()).into());
            }
            output
        };
        let (first, second) = (content(b"one"), content(b"another"));
        let difference = first
            .first_difference(&second, &[], Comparison::Complete)
            .unwrap();
        let digits = "0123456789".repeat(4);
        assert_eq!(
            [difference.first, difference.second],
            [
                format!(r#""{digits}one" (from byte 9960 of 10003)"#),
                format!(r#""{digits}another" (from byte 9960 of 10007)"#),
            ]
        );
    }

    #[test]
    fn events_that_the_client_did_not_wait_for_are_no_difference() {
        let mut first = AppOutput::default();
        first.push(&Message::text("first").into());
        let mut longer = first.clone();
        longer.push(&Message::text("second").into());
        let differs = |comparison| first.first_difference(&longer, &[], comparison).is_some();
        assert!(differs(Comparison::Complete));
        assert!(!differs(Comparison::UpToShorter));
        let mut other = AppOutput::default();
        other.push(&Message::text("another").into());
        let difference = other.first_difference(&longer, &[], Comparison::UpToShorter);
        assert!(difference.is_some());
    }
}
