//! How far the application has come with what it sends, and what ASGI tolerates in it.

use bytestring::ByteString;
use callgate::message::{forbids_content, is_forbidden_trailer};
use callgate::rule;
use callgate::{HttpResponseBody, HttpResponseStart, Scope, SendEvent, WebSocketClose};
use http::header::{CONTENT_LENGTH, HeaderMap, TRAILER};
use http::{HeaderValue, Version};

use crate::tolerance::Broken;

/// How far the application has come with what it sends.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Phase,
    /// Whether trailer fields must be named before, and exclude a length, as in HTTP/1.
    is_http1: bool,
    /// What the client of a WebSocket offers.
    subprotocols: Vec<ByteString>,
}

#[derive(Debug)]
enum Phase {
    /// Nothing is sent, or early hints.
    Waiting,
    /// The head of a response is sent.
    Started {
        has_trailers: bool,
        forbids_content: bool,
        /// The values of the field `trailer`.
        named: Vec<HeaderValue>,
        /// Whether the whole response is sent.
        is_complete: bool,
    },
    /// The WebSocket is open, or closed.
    Accepted,
}

impl Progress {
    pub(super) fn new(scope: &Scope) -> Self {
        let (version, subprotocols) = match scope {
            Scope::Http(scope) => (scope.version, Vec::new()),
            Scope::WebSocket(scope) => (scope.version, scope.subprotocols.clone()),
            _ => (Version::HTTP_11, Vec::new()),
        };
        Self {
            phase: Phase::Waiting,
            is_http1: version <= Version::HTTP_11,
            subprotocols,
        }
    }

    /// Takes note of an event, and changes it so that it keeps the rules of the protocol, as far as ASGI tolerates that they
    /// are broken. Returns whether the event is to be sent.
    pub(super) fn take(&mut self, event: &mut SendEvent, broken: &mut Broken) -> bool {
        match event {
            SendEvent::WebSocketAccept(accept) => {
                let offered = &self.subprotocols;
                if let Some(name) = (accept.subprotocol).take_if(|name| !offered.contains(name)) {
                    broken.note(
                        rule::OFFERED_SUBPROTOCOL,
                        format!(
                            "the subprotocol `{name}` is left out, which the client does not offer"
                        ),
                    );
                }
                self.phase = Phase::Accepted;
                true
            }
            SendEvent::WebSocketClose(close) if matches!(self.phase, Phase::Waiting) => {
                if !WebSocketClose::is_valid_code(close.code) {
                    broken.note(
                        rule::VALID_CLOSE_CODE,
                        format!(
                            "a WebSocket is refused with the code {}, which is left out",
                            close.code
                        ),
                    );
                    close.code = 1000;
                }
                true
            }
            SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
                if self.is_complete() {
                    return ignore_after_end(event, broken);
                }
                self.start(start, broken);
                true
            }
            SendEvent::HttpResponseBody(_)
            | SendEvent::DenialResponseBody(_)
            | SendEvent::HttpResponsePathSend(_)
            | SendEvent::HttpResponseTrailers(_)
            | SendEvent::HttpResponseEarlyHint(_) => self.take_later(event, broken),
            _ => true,
        }
    }

    fn start(&mut self, start: &mut HttpResponseStart, broken: &mut Broken) {
        broken.fit_length(start);
        if start.trailers && self.is_http1 && start.headers.remove(CONTENT_LENGTH).is_some() {
            broken.note(
                rule::TRAILERS_WITHOUT_LENGTH,
                "`content-length` is left out of a response with trailer fields",
            );
        }
        let named = match start.trailers {
            true => start.headers.get_all(TRAILER).iter().cloned().collect(),
            false => Vec::new(),
        };
        self.phase = Phase::Started {
            has_trailers: start.trailers,
            forbids_content: forbids_content(start.status),
            named,
            is_complete: false,
        };
    }

    /// Returns whether the response of HTTP is sent to its end. That of a denied WebSocket never counts as such.
    pub(super) fn is_complete(&self) -> bool {
        matches!(
            self.phase,
            Phase::Started {
                is_complete: true,
                ..
            }
        )
    }

    /// Takes note that the last event was not sent, and that the response goes on without it.
    pub(super) fn undo(&mut self) {
        match &mut self.phase {
            Phase::Started { is_complete, .. } if *is_complete => *is_complete = false,
            // Trailer fields are announced that are not offered.
            Phase::Started {
                has_trailers: true, ..
            } => self.phase = Phase::Waiting,
            _ => {}
        }
    }

    /// Takes note of an event that follows the head of a response.
    fn take_later(&mut self, event: &mut SendEvent, broken: &mut Broken) -> bool {
        let Phase::Started {
            has_trailers,
            forbids_content,
            named,
            is_complete,
        } = &mut self.phase
        else {
            return true;
        };
        if *is_complete {
            return ignore_after_end(event, broken);
        }
        if *forbids_content {
            leave_content_out(event, broken);
        }
        *is_complete = match event {
            SendEvent::HttpResponseBody(body) => !body.more_body && !*has_trailers,
            SendEvent::HttpResponsePathSend(_) => !*has_trailers,
            SendEvent::HttpResponseTrailers(trailers) => {
                let named = self.is_http1.then_some(&**named);
                leave_trailers_out(&mut trailers.headers, named, broken);
                !trailers.more_trailers
            }
            SendEvent::HttpResponseEarlyHint(_) => {
                broken.note(
                    rule::EARLY_HINTS_BEFORE_START,
                    "early hints after the start of the response are left out",
                );
                return false;
            }
            _ => false,
        };
        true
    }
}

fn ignore_after_end(event: &SendEvent, broken: &mut Broken) -> bool {
    broken.note(
        rule::NOTHING_AFTER_END,
        format!(
            "`{}` is left out after the end of the response",
            event.type_name()
        ),
    );
    false
}

/// Leaves the content out of an event of a response that must not have content.
fn leave_content_out(event: &mut SendEvent, broken: &mut Broken) {
    match event {
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body)
            if !body.body.is_empty() =>
        {
            body.body.clear();
        }
        SendEvent::HttpResponsePathSend(_) => *event = HttpResponseBody::end().into(),
        _ => return,
    }
    broken.note_forbidden_content();
}

/// Leaves the trailer fields out that are not permitted as such, and those that are not among the named ones.
fn leave_trailers_out(
    trailers: &mut HeaderMap,
    named: Option<&[HeaderValue]>,
    broken: &mut Broken,
) {
    let names: Vec<_> = trailers.keys().cloned().collect();
    for name in names {
        if is_forbidden_trailer(&name) {
            broken.note(
                rule::TRAILER_FIELDS,
                format!("the trailer field `{name}` is left out"),
            );
        } else if named.is_some_and(|named| !is_named(named, name.as_str())) {
            broken.note(
                rule::TRAILERS_NAMED,
                format!("the trailer field `{name}` is left out, as the field `trailer` does not name it"),
            );
        } else {
            continue;
        }
        trailers.remove(&name);
    }
}

fn is_named(named: &[HeaderValue], name: &str) -> bool {
    let values = named.iter().filter_map(|value| value.to_str().ok());
    let mut listed = values.flat_map(|value| value.split(','));
    listed.any(|listed| listed.trim().eq_ignore_ascii_case(name))
}
