//! Copies of events that keep little: the beginning of a content, and nothing of the application's state.

use bytes::Bytes;
use callgate::{Message, ReceiveEvent, Scope, SendEvent, State};
use callgate_conformance::RecordLine;

/// Makes `line` one that can be kept: without the state and the extensions of the application, and with a copy of
/// at most `limit` octets of a content. Returns the length of the whole content if it was longer.
///
/// Contents are copied because a part of a buffer keeps all of the buffer.
pub(crate) fn shorten(line: &mut RecordLine, limit: usize) -> Option<usize> {
    if let Some(request) = line.called.as_mut().and_then(Scope::request_mut) {
        request.state = State::new();
        request.extensions.clear();
    }
    if let Some(event) = &mut line.received {
        return match event {
            ReceiveEvent::HttpRequestBody(request) => shorten_octets(&mut request.body, limit),
            ReceiveEvent::WebSocketReceive(message) => shorten_message(message, limit),
            _ => None,
        };
    }
    match line.sent.as_mut()? {
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => {
            shorten_octets(&mut body.body, limit)
        }
        SendEvent::WebSocketSend(message) => shorten_message(message, limit),
        SendEvent::LifespanStartupComplete(complete) => {
            complete.state = State::new();
            None
        }
        _ => None,
    }
}

fn shorten_octets(octets: &mut Bytes, limit: usize) -> Option<usize> {
    let length = octets.len();
    *octets = Bytes::copy_from_slice(&octets[..length.min(limit)]);
    (length > limit).then_some(length)
}

fn shorten_message(message: &mut Message, limit: usize) -> Option<usize> {
    let length = message.len();
    *message = match message {
        Message::Text(text) => {
            let is_boundary = |end: &usize| text.is_char_boundary(*end);
            let end = (0..=length.min(limit)).rev().find(is_boundary);
            Message::text(&text[..end.unwrap_or_default()])
        }
        Message::Binary(octets) => {
            Message::Binary(Bytes::copy_from_slice(&octets[..length.min(limit)]))
        }
    };
    (length > limit).then_some(length)
}

#[cfg(test)]
mod tests {
    use callgate::{HttpRequestBody, HttpResponseBody};

    use super::*;

    #[test]
    fn the_beginning_of_a_content_is_copied_with_its_length() {
        let whole = Bytes::from(vec![7; 100]);
        let event = HttpResponseBody::last(whole.clone()).into();
        let mut line = RecordLine::sent(1, event, &Ok(()));
        assert_eq!(shorten(&mut line, 10), Some(100));
        let Some(SendEvent::HttpResponseBody(body)) = &line.sent else {
            panic!("{line:?}");
        };
        assert_eq!(body.body, &whole[..10]);
        assert_ne!(body.body.as_ptr(), whole.as_ptr());
    }

    #[test]
    fn a_content_within_the_limit_is_whole_and_copied() {
        let whole = Bytes::from(vec![7; 10]);
        let event = ReceiveEvent::HttpRequestBody(HttpRequestBody::last(whole.clone()));
        let mut line = RecordLine::received(1, &event);
        assert_eq!(shorten(&mut line, 10), None);
        let Some(ReceiveEvent::HttpRequestBody(request)) = &line.received else {
            panic!("{line:?}");
        };
        assert_eq!(request.body, whole);
        assert_ne!(request.body.as_ptr(), whole.as_ptr());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let event = ReceiveEvent::WebSocketReceive(Message::text("aéé"));
        let mut line = RecordLine::received(1, &event);
        assert_eq!(shorten(&mut line, 4), Some(5));
        let kept = ReceiveEvent::WebSocketReceive(Message::text("aé"));
        assert_eq!(line.received, Some(kept));
    }
}
