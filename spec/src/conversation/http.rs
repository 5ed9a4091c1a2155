use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http::{Method, StatusCode, Version};

use super::foreign;
use crate::message::{forbids_content, is_forbidden_trailer, is_hop_by_hop};
use crate::rule::{self, Rule};
use crate::{Feature, Features, HttpScope, SendError, SendEvent, Violation};

/// The state of one HTTP response, which determines the events that the application may send next.
#[derive(Clone, Debug)]
pub struct HttpConversation {
    phase: HttpPhase,
    is_head_request: bool,
    version: Version,
    features: Features,
}

/// The phase of an HTTP exchange, as determined by the events of the application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HttpPhase {
    /// The application has not started a response.
    Waiting,
    /// The application has started the response and has not sent a body event.
    Started(Content),
    /// The application has sent at least one body event, and more must follow.
    Streaming(Content),
    /// The content is complete, and trailer fields must follow.
    Trailers(Trailers),
    /// The response is complete.
    Ended,
    /// The application has broken a rule. Every later send fails.
    Broken(Violation),
    /// The client is gone. Every later send fails.
    Disconnected,
    /// The call has returned. Every later send fails.
    Returned,
}

/// The properties of the content that the head of a response determines.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    status: StatusCode,
    /// The number of bytes that `content-length` still permits; `None` without `content-length`.
    remaining: Option<u64>,
    trailers: Option<Trailers>,
}

/// The properties of the trailer fields that the head of a response determines.
#[derive(Clone, Debug, PartialEq)]
pub struct Trailers {
    /// The values of the field `trailer`; `None` if the HTTP version does not require this field.
    named: Option<Vec<HeaderValue>>,
}

impl HttpConversation {
    /// Creates the conversation of an exchange with this scope.
    #[must_use]
    #[inline]
    pub fn new(scope: &HttpScope) -> Self {
        Self {
            phase: HttpPhase::Waiting,
            is_head_request: scope.method == Method::HEAD,
            version: scope.version,
            features: scope.features,
        }
    }

    /// Creates the conversation of a denial response, which has the rules of an HTTP response.
    #[must_use]
    pub(super) fn denial(version: Version) -> Self {
        Self {
            phase: HttpPhase::Waiting,
            is_head_request: false,
            version,
            features: Features::NONE,
        }
    }

    /// Returns the current phase.
    #[must_use]
    #[inline]
    pub fn phase(&self) -> &HttpPhase {
        &self.phase
    }

    /// Returns whether the server can still replace the response, because no body event has been
    /// sent.
    #[must_use]
    #[inline]
    pub fn is_replaceable(&self) -> bool {
        matches!(self.phase, HttpPhase::Waiting | HttpPhase::Started(_))
    }

    /// Records that the client is gone. An exchange that [is over](Self::is_over) does not change.
    pub fn disconnect(&mut self) {
        if !self.is_over() {
            self.phase = HttpPhase::Disconnected;
        }
    }

    /// Returns whether no event can be sent any more: the response is complete, or can no longer
    /// become complete.
    #[must_use]
    #[inline]
    pub fn is_over(&self) -> bool {
        matches!(
            self.phase,
            HttpPhase::Ended | HttpPhase::Broken(_) | HttpPhase::Disconnected | HttpPhase::Returned
        )
    }

    /// Returns whether the application must be notified of a disconnect and the grace period
    /// begins: the client is gone, or the application has broken a rule, before the last event
    /// (rules `CORE-14`, `CORE-21`).
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        match &self.phase {
            HttpPhase::Disconnected => true,
            HttpPhase::Broken(violation) => violation.rule != rule::NOTHING_AFTER_END,
            _ => false,
        }
    }

    /// Checks an event that the application sends, and advances the phase.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the event must not be delivered. After a violation, every later
    /// event fails with the same one.
    #[inline]
    pub fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        match self.check(event) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.noted(error)),
        }
    }

    #[inline]
    fn check(&mut self, event: &SendEvent) -> Result<(), SendError> {
        match event {
            SendEvent::HttpResponseStart(start) => {
                self.start(start.status, &start.headers, start.trailers)
            }
            SendEvent::HttpResponseBody(body) => self.body(body.body.len() as u64, body.more_body),
            SendEvent::HttpResponsePathSend(file) => self.path_send(&file.path),
            SendEvent::HttpResponseTrailers(trailers) => {
                self.trailers(&trailers.headers, trailers.more_trailers)
            }
            SendEvent::HttpResponseEarlyHint(_) => self.early_hints(),
            SendEvent::HttpResponseDebug(_) => self.debug(),
            other => self
                .open()
                .and_then(|()| Err(foreign(other, "an HTTP").into())),
        }
    }

    /// Records the violation, if `error` is one, and returns `error`.
    #[cold]
    fn noted(&mut self, error: SendError) -> SendError {
        if let SendError::Violation(violation) = &error {
            self.phase = HttpPhase::Broken(violation.clone());
        }
        error
    }

    /// Checks the head of a response: the status, the header fields, and whether trailer fields
    /// follow.
    #[inline]
    pub(super) fn start(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        trailers: bool,
    ) -> Result<(), SendError> {
        if !matches!(self.phase, HttpPhase::Waiting) {
            self.open()?;
            return Err(violation(
                rule::START_ONCE,
                "the response has already been started",
            ));
        }
        if trailers {
            self.offered(Feature::ResponseTrailers)?;
        }
        if !(200..=599).contains(&status.as_u16()) {
            return Err(violation(
                rule::FINAL_STATUS,
                format!("the status is {}", status.as_u16()),
            ));
        }
        let remaining = fields(headers)?;
        if remaining.is_some() && status == StatusCode::NO_CONTENT {
            return Err(violation(
                rule::NO_LENGTH_WITH_204,
                "`content-length` is set with status 204",
            ));
        }
        if trailers && remaining.is_some() && self.version <= Version::HTTP_11 {
            return Err(violation(
                rule::TRAILERS_WITHOUT_LENGTH,
                "`content-length` is set and trailer fields are announced",
            ));
        }
        let trailers = trailers.then(|| Trailers {
            named: (self.version <= Version::HTTP_11)
                .then(|| headers.get_all(TRAILER).iter().cloned().collect()),
        });
        self.phase = HttpPhase::Started(Content {
            status,
            remaining,
            trailers,
        });
        Ok(())
    }

    /// Checks a part of the content of `length` bytes.
    #[inline]
    pub(super) fn body(&mut self, length: u64, more: bool) -> Result<(), SendError> {
        let is_head_request = self.is_head_request;
        let content = match &mut self.phase {
            HttpPhase::Started(content) | HttpPhase::Streaming(content) => content,
            HttpPhase::Trailers(_) => {
                return Err(violation(
                    rule::TRAILERS_ANNOUNCED,
                    "a body event came in place of the trailer fields",
                ));
            }
            _ => {
                self.open()?;
                return Err(violation(
                    rule::START_FIRST,
                    "a body event came before `http.response.start`",
                ));
            }
        };
        if length > 0 && forbids_content(content.status) {
            return Err(violation(
                rule::NO_CONTENT_STATUS,
                format!(
                    "{length} bytes came with status {}",
                    content.status.as_u16()
                ),
            ));
        }
        if let Some(remaining) = &mut content.remaining {
            if length > *remaining {
                return Err(violation(
                    rule::NOT_MORE_THAN_LENGTH,
                    format!("{length} bytes came where {remaining} were left"),
                ));
            }
            *remaining -= length;
            let may_be_short = is_head_request || content.status == StatusCode::NOT_MODIFIED;
            if !more && *remaining > 0 && !may_be_short {
                return Err(violation(
                    rule::NOT_LESS_THAN_LENGTH,
                    format!("the content ended {remaining} bytes short"),
                ));
            }
        }
        let trailers = content.trailers.take();
        self.phase = match trailers {
            _ if more => HttpPhase::Streaming(Content {
                trailers,
                ..*content
            }),
            Some(trailers) => HttpPhase::Trailers(trailers),
            None => HttpPhase::Ended,
        };
        Ok(())
    }

    /// Records that a file of `length` bytes is the content, after a path send was permitted and
    /// the file was opened.
    ///
    /// # Errors
    ///
    /// Fails if `length` disagrees with the head, if another event was sent in the meantime, or if
    /// no event can be sent any more.
    pub fn file(&mut self, length: u64) -> Result<(), SendError> {
        match self.phase {
            HttpPhase::Started(_) => self.body(length, false).map_err(|error| self.noted(error)),
            _ => Err(self.path_send_interrupted()),
        }
    }

    /// Records that another event came while the file of a path send was opened, which breaks
    /// `EXT-10`. Returns the error of that event.
    #[cold]
    pub fn path_send_interrupted(&mut self) -> SendError {
        let detail = "another event came while the file was opened";
        let error = self.open().err();
        self.noted(error.unwrap_or_else(|| violation(rule::PATH_SEND_ALONE, detail)))
    }

    /// Checks a path send. [`file`](Self::file) completes the path send when the file is open.
    fn path_send(&self, path: &std::path::Path) -> Result<(), SendError> {
        self.open()?;
        self.offered(Feature::PathSend)?;
        match &self.phase {
            HttpPhase::Waiting => {
                return Err(violation(
                    rule::START_FIRST,
                    "a path send came before `http.response.start`",
                ));
            }
            HttpPhase::Started(_) => {}
            _ => {
                return Err(violation(
                    rule::PATH_SEND_ALONE,
                    "a path send came after a body event",
                ));
            }
        }
        if !path.is_absolute() {
            return Err(violation(
                rule::PATH_SEND_ABSOLUTE,
                format!("the path is `{}`", path.display()),
            ));
        }
        Ok(())
    }

    fn trailers(&mut self, headers: &HeaderMap, more: bool) -> Result<(), SendError> {
        self.open()?;
        let HttpPhase::Trailers(trailers) = &self.phase else {
            self.offered(Feature::ResponseTrailers)?;
            return Err(violation(
                rule::TRAILERS_ANNOUNCED,
                "trailer fields came before the end of the content, or unannounced",
            ));
        };
        let forbidden = headers.keys().find(|name| is_forbidden_trailer(name));
        if let Some(name) = forbidden {
            return Err(violation(
                rule::TRAILER_FIELDS,
                format!("`{name}` is a trailer field"),
            ));
        }
        if let Some(name) = headers.keys().find(|name| !trailers.is_named(name)) {
            return Err(violation(
                rule::TRAILERS_NAMED,
                format!("`{name}` is not named in `trailer`"),
            ));
        }
        if !more {
            self.phase = HttpPhase::Ended;
        }
        Ok(())
    }

    fn early_hints(&self) -> Result<(), SendError> {
        self.open()?;
        self.offered(Feature::EarlyHints)?;
        if self.phase == HttpPhase::Waiting {
            Ok(())
        } else {
            Err(violation(
                rule::EARLY_HINTS_BEFORE_START,
                "early hints came after `http.response.start`",
            ))
        }
    }

    fn debug(&self) -> Result<(), SendError> {
        self.open()?;
        self.offered(Feature::Debug)
    }

    /// Records that the call has returned successfully. Later sends fail with
    /// [`SendError::Disconnected`] (rule `CORE-11`).
    ///
    /// # Errors
    ///
    /// Returns the rule that the call has broken: by returning in this phase, or by an earlier
    /// send.
    #[inline]
    pub fn returned(&mut self) -> Result<(), Violation> {
        match std::mem::replace(&mut self.phase, HttpPhase::Returned) {
            HttpPhase::Waiting => Err(Violation::new(
                rule::START_BEFORE_RETURN,
                "the application returned without a response",
            )),
            HttpPhase::Started(_) | HttpPhase::Streaming(_) => Err(Violation::new(
                rule::END_BEFORE_RETURN,
                "the application returned in the middle of its response",
            )),
            HttpPhase::Trailers(_) => Err(Violation::new(
                rule::TRAILERS_ANNOUNCED,
                "the application returned without the trailer fields it announced",
            )),
            HttpPhase::Broken(violation) => Err(violation),
            HttpPhase::Ended | HttpPhase::Disconnected | HttpPhase::Returned => Ok(()),
        }
    }

    /// Checks that the application may send at all in this phase.
    fn open(&self) -> Result<(), SendError> {
        match &self.phase {
            HttpPhase::Disconnected | HttpPhase::Returned => Err(SendError::Disconnected),
            HttpPhase::Broken(violation) => Err(SendError::Violation(violation.clone())),
            HttpPhase::Ended => Err(violation(
                rule::NOTHING_AFTER_END,
                "the response has already ended",
            )),
            _ => Ok(()),
        }
    }

    fn offered(&self, feature: Feature) -> Result<(), SendError> {
        if self.features.contains(feature) {
            Ok(())
        } else {
            Err(SendError::NotOffered(feature))
        }
    }
}

impl Trailers {
    fn is_named(&self, name: &HeaderName) -> bool {
        let Some(named) = &self.named else {
            return true;
        };
        named
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|listed| listed.trim().eq_ignore_ascii_case(name.as_str()))
    }
}

fn violation(rule: &'static Rule, detail: impl Into<std::borrow::Cow<'static, str>>) -> SendError {
    SendError::Violation(Violation::new(rule, detail))
}

/// Returns the first field that belongs to the connection and not to the message (RFC 9110, 7.6.1).
pub(super) fn hop_by_hop(headers: &HeaderMap) -> Option<&HeaderName> {
    headers.keys().find(|name| is_hop_by_hop(name))
}

/// Checks the header fields of a response in one pass, and returns the value of `content-length`.
fn fields(headers: &HeaderMap) -> Result<Option<u64>, SendError> {
    let mut length = None;
    for (name, value) in headers {
        if *name == CONTENT_LENGTH {
            if length.is_some() {
                return Err(violation(
                    rule::VALID_CONTENT_LENGTH,
                    "`content-length` is set more than once",
                ));
            }
            length = Some(content_length(value)?);
        } else if is_hop_by_hop(name) {
            return Err(violation(rule::NO_HOP_BY_HOP, format!("`{name}` is set")));
        }
    }
    Ok(length)
}

fn content_length(value: &HeaderValue) -> Result<u64, SendError> {
    // `parse` alone would accept a sign.
    let is_decimal = value.as_bytes().iter().all(u8::is_ascii_digit);
    match value.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(length) if is_decimal => Ok(length),
        _ => Err(violation(
            rule::VALID_CONTENT_LENGTH,
            format!("`content-length` is {value:?}"),
        )),
    }
}
