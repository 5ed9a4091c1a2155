//! What a server holds of an HTTP exchange, without the waiting.

use bytes::Bytes;
use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    HttpResponsePathSend, HttpResponseStart, HttpScope, ReceiveEvent, SendError, SendEvent,
    Violation,
};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};

use super::link::Incoming;

/// One HTTP exchange: the head is held until the first body event, and then one part of the content
/// until the client takes it.
pub(super) struct HttpState {
    conversation: HttpConversation,
    version: Version,
    is_head_request: bool,
    /// Whether the client waits with its content to be told that it is wanted.
    expects_continue: bool,
    is_continued: bool,
    held: Option<HttpResponseStart>,
    /// The head, for the client.
    head: Option<Parts>,
    /// The next of the content, for the client.
    part: Option<Bytes>,
    /// Trailer fields so far, for the client after the content.
    trailers: HeaderMap,
    /// Whether content goes nowhere: HEAD, 204, 304.
    discards: bool,
    /// How the response ends after that.
    end: Option<End>,
    /// Whether the application has been told of an end before its own.
    is_told: bool,
}

/// How a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The client cannot take it for a whole one (rule `HTTP-33`).
    Cut,
    /// The client has gone away.
    Gone,
}

/// What a client that reads gets.
pub(super) enum Reading {
    Part(Bytes),
    End(End, HeaderMap),
}

impl HttpState {
    pub(super) fn new(scope: &HttpScope) -> Self {
        Self {
            conversation: HttpConversation::new(scope),
            version: scope.version,
            is_head_request: scope.method == Method::HEAD,
            expects_continue: expects_continue(scope),
            is_continued: false,
            held: None,
            head: None,
            part: None,
            trailers: HeaderMap::new(),
            discards: false,
            end: None,
            is_told: false,
        }
    }

    /// The head of the response, once it is sent; or how the exchange ended without one.
    pub(super) fn take_head(&mut self) -> Option<Result<Parts, End>> {
        match self.head.take() {
            Some(head) => Some(Ok(head)),
            None => self.end.map(Err),
        }
    }

    /// The next of the content, once it is there, or the end.
    pub(super) fn read(&mut self) -> Option<Reading> {
        if let Some(part) = self.part.take() {
            return Some(Reading::Part(part));
        }
        let end = self.end?;
        Some(Reading::End(end, std::mem::take(&mut self.trailers)))
    }

    pub(super) fn is_over(&self) -> bool {
        self.conversation.is_over()
    }

    /// Whether the grace period runs: the client went away, or a rule was broken, before the last
    /// event (rules `CORE-14` and `CORE-21`).
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Whether the client has all that it will get, while the application was not through: the content
    /// goes nowhere.
    pub(super) fn is_unheard(&self) -> bool {
        self.discards && !self.conversation.is_over()
    }

    pub(super) fn is_declinable(&self) -> bool {
        self.conversation.is_replaceable()
    }

    pub(super) fn receive(&mut self) -> Incoming {
        if self.conversation.is_over() {
            Incoming::Event(ReceiveEvent::HttpDisconnect)
        } else {
            Incoming::Content
        }
    }

    /// The application asks for content. Returns whether the client is told now to send it (rules
    /// `HTTP-10` and `HTTP-11`).
    pub(super) fn ask(&mut self) -> bool {
        let is_first = self.expects_continue && !self.is_continued;
        let is_told = is_first && self.conversation.is_replaceable();
        self.is_continued |= is_told;
        is_told
    }

    /// Whether the client has been told to send its content.
    pub(super) fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// The client goes away.
    pub(super) fn disconnect(&mut self) {
        self.is_told |= !self.conversation.is_over();
        self.conversation.disconnect();
        if self.end.is_none() {
            self.end = Some(End::Gone);
            self.part = None;
        }
    }

    /// The client does not want the rest, which matters if there is more to come.
    pub(super) fn abandon(&mut self) {
        if self.end.is_none() {
            self.disconnect();
        }
    }

    /// Whether the application can send.
    pub(super) fn has_room(&self) -> bool {
        self.part.is_none() || self.conversation.is_over()
    }

    /// What the application sends.
    pub(super) fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        let was_replaceable = self.conversation.is_replaceable();
        let was_over = self.conversation.is_over();
        let result = self.conversation.send(event).and_then(|()| match event {
            SendEvent::HttpResponsePathSend(file) => self.send_file(file),
            event => {
                self.take(event);
                Ok(())
            }
        });
        if let Err(SendError::Violation(_)) = &result {
            self.is_told |= !was_over;
            self.fail(was_replaceable, StatusCode::INTERNAL_SERVER_ERROR);
        }
        result
    }

    /// The call has ended; returns the rule that it broke.
    pub(super) fn returned(&mut self, failure: Option<StatusCode>) -> Option<Violation> {
        let is_replaceable = self.conversation.is_replaceable();
        let violation = self.conversation.returned().err();
        if failure.is_some() || violation.is_some() {
            let status = failure.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            self.fail(is_replaceable, status);
        }
        violation
    }

    /// Takes an event that the conversation has allowed.
    fn take(&mut self, event: &SendEvent) {
        match event {
            SendEvent::HttpResponseStart(start) => self.held = Some(start.clone()),
            SendEvent::HttpResponseBody(body) => self.content(body.body.clone()),
            SendEvent::HttpResponseTrailers(trailers) => {
                for (name, value) in &trailers.headers {
                    self.trailers.append(name, value.clone());
                }
                self.end_if_ended();
            }
            // Early hints and debug facts stand in the transcript.
            _ => {}
        }
    }

    /// Sends a file as the content (rules `EXT-08` and `EXT-09`). It is read at once, and whole.
    fn send_file(&mut self, file: &HttpResponsePathSend) -> Result<(), SendError> {
        // Asked first, as opening what is no file (a pipe, say) might never return.
        let read = std::fs::metadata(&file.path).and_then(|metadata| {
            if metadata.is_file() {
                std::fs::read(&file.path)
            } else {
                Err(std::io::Error::other("not a regular file"))
            }
        });
        let content = read.map_err(|reason| SendError::File {
            path: file.path.clone(),
            reason: reason.into(),
        })?;
        self.conversation.file(content.len() as u64)?;
        self.content(content.into());
        Ok(())
    }

    fn content(&mut self, content: Bytes) {
        if let Some(start) = self.held.take() {
            self.begin(start, content.len());
        }
        if !self.discards && !content.is_empty() {
            // Several threads may have seen the same room.
            self.part = Some(match self.part.take() {
                Some(part) => [part, content].concat().into(),
                None => content,
            });
        }
        self.end_if_ended();
    }

    fn end_if_ended(&mut self) {
        if self.end.is_none() && *self.conversation.phase() == HttpPhase::Ended {
            self.end = Some(End::Whole);
        }
    }

    /// Begins the response, now that its head and the first of its content are known.
    fn begin(&mut self, start: HttpResponseStart, length: usize) {
        let is_whole = *self.conversation.phase() == HttpPhase::Ended;
        let status = start.status;
        let has_no_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.discards = self.is_head_request || has_no_body;
        let mut head = self.parts(status);
        head.headers = start.headers;
        // What the length of nothing would be, nobody knows where content may have been left out.
        let has_length = is_whole && !has_no_body && !(self.is_head_request && length == 0);
        if has_length && !head.headers.contains_key(CONTENT_LENGTH) {
            head.headers.insert(CONTENT_LENGTH, length.into());
        }
        self.head = Some(head);
        if self.discards {
            // The client has all that it will get.
            self.end = Some(End::Whole);
        }
    }

    fn parts(&self, status: StatusCode) -> Parts {
        let mut parts = Response::new(()).into_parts().0;
        parts.status = status;
        parts.version = self.version;
        parts
    }

    /// Ends the response, as the application failed: with this status if nothing has been sent.
    fn fail(&mut self, is_replaceable: bool, status: StatusCode) {
        if is_replaceable {
            self.replace(status);
        } else if self.end.is_none() {
            self.end = Some(End::Cut);
        }
    }

    /// Answers in place of the application.
    pub(super) fn replace(&mut self, status: StatusCode) {
        let mut head = self.parts(status);
        let content = status.canonical_reason().unwrap_or_default();
        head.headers.insert(CONTENT_TYPE, TEXT);
        head.headers.insert(CONTENT_LENGTH, content.len().into());
        self.held = None;
        self.head = Some(head);
        self.part = (!self.is_head_request).then(|| content.into());
        self.end = Some(End::Whole);
    }
}

/// Whether a server has to tell the client of this request to go on, which it has in HTTP/1.1 where
/// there is content.
fn expects_continue(scope: &HttpScope) -> bool {
    let has = |name, value: &str| {
        let mut values = scope.headers.get_all(name).iter();
        values.any(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    let has_content = scope.headers.contains_key(TRANSFER_ENCODING)
        || (scope.headers.contains_key(CONTENT_LENGTH) && !has(CONTENT_LENGTH, "0"));
    scope.version == Version::HTTP_11 && has_content && has(EXPECT, "100-continue")
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
