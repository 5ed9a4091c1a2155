use bytestring::ByteString;
use http::Version;

use super::foreign;
use super::http::{HttpConversation, HttpPhase, hop_by_hop};
use crate::rule;
use crate::{
    Feature, Features, SendError, SendEvent, Violation, WebSocketAccept, WebSocketClose,
    WebSocketScope,
};

/// The state of one WebSocket, which determines the events that the application may send next.
#[derive(Clone, Debug)]
pub struct WebSocketConversation {
    phase: WebSocketPhase,
    subprotocols: Vec<ByteString>,
    version: Version,
    features: Features,
}

/// The phase of a WebSocket, as determined by the events of the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WebSocketPhase {
    /// The application has not accepted, closed or denied the WebSocket.
    Connecting,
    /// The application denies the WebSocket with an HTTP response, which has not ended.
    Denying(HttpConversation),
    /// The WebSocket is open.
    Open,
    /// The application has closed or refused the WebSocket, or has ended its denial response.
    Closed,
    /// The application has broken a rule. Every later send fails.
    Broken(Violation),
    /// The client is gone. Every later send fails.
    Disconnected,
    /// The call has returned. Every later send fails.
    Returned,
}

impl WebSocketConversation {
    /// Creates the conversation of an exchange with this scope.
    #[must_use]
    pub fn new(scope: &WebSocketScope) -> Self {
        Self {
            phase: WebSocketPhase::Connecting,
            subprotocols: scope.subprotocols.clone(),
            version: scope.version,
            features: scope.features,
        }
    }

    /// Returns the current phase.
    #[must_use]
    pub fn phase(&self) -> &WebSocketPhase {
        &self.phase
    }

    /// Records that the client is gone. The phases [`Closed`](WebSocketPhase::Closed),
    /// [`Broken`](WebSocketPhase::Broken) and [`Returned`](WebSocketPhase::Returned) do not change.
    pub fn disconnect(&mut self) {
        if !matches!(
            self.phase,
            WebSocketPhase::Closed | WebSocketPhase::Broken(_) | WebSocketPhase::Returned
        ) {
            self.phase = WebSocketPhase::Disconnected;
        }
    }

    /// Returns whether the application must be notified of a disconnect, which starts the grace
    /// period. This is the case if the client is gone, or if the application has broken a rule,
    /// before the last event (rules `CORE-14`, `CORE-21`).
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        match &self.phase {
            WebSocketPhase::Disconnected => true,
            WebSocketPhase::Broken(violation) => violation.rule != rule::NOTHING_AFTER_CLOSE,
            _ => false,
        }
    }

    /// Checks an event that the application sends, and advances the phase.
    ///
    /// # Errors
    ///
    /// Returns the reason for which the event must not be delivered. After a violation, every later
    /// event fails with the same violation.
    pub fn send(&mut self, event: &SendEvent) -> Result<(), SendError> {
        let result = self.open().and_then(|()| match event {
            SendEvent::WebSocketAccept(accept) => self.accept(accept),
            SendEvent::WebSocketSend(_) => self.message(),
            SendEvent::WebSocketClose(close) => self.close(close),
            SendEvent::DenialResponseStart(_) | SendEvent::DenialResponseBody(_) => {
                self.deny(event)
            }
            other => Err(foreign(other, "a WebSocket").into()),
        });
        if let Err(SendError::Violation(violation)) = &result {
            self.phase = WebSocketPhase::Broken(violation.clone());
        }
        result
    }

    fn accept(&mut self, accept: &WebSocketAccept) -> Result<(), SendError> {
        match self.phase {
            WebSocketPhase::Connecting => {}
            WebSocketPhase::Denying(_) => {
                return Err(Violation::new(
                    rule::DENIAL_IS_A_RESPONSE,
                    "`websocket.accept` came within a denial response",
                )
                .into());
            }
            _ => {
                return Err(Violation::new(
                    rule::ACCEPT_ONCE,
                    "the WebSocket has already been accepted",
                )
                .into());
            }
        }
        if let Some(subprotocol) = &accept.subprotocol
            && !self.subprotocols.contains(subprotocol)
        {
            return Err(Violation::new(
                rule::OFFERED_SUBPROTOCOL,
                format!("the client does not offer the subprotocol `{subprotocol}`"),
            )
            .into());
        }
        let forbidden = hop_by_hop(&accept.headers).or_else(|| {
            accept.headers.keys().find(|name| {
                name.as_str().starts_with("sec-websocket-") || *name == "content-length"
            })
        });
        if let Some(name) = forbidden {
            return Err(
                Violation::new(rule::NO_HANDSHAKE_HEADERS, format!("`{name}` is set")).into(),
            );
        }
        self.phase = WebSocketPhase::Open;
        Ok(())
    }

    fn message(&self) -> Result<(), SendError> {
        match self.phase {
            WebSocketPhase::Open => Ok(()),
            _ => Err(Violation::new(
                rule::ACCEPT_FIRST,
                "a message was sent before `websocket.accept`",
            )
            .into()),
        }
    }

    fn close(&mut self, close: &WebSocketClose) -> Result<(), SendError> {
        if matches!(self.phase, WebSocketPhase::Denying(_)) {
            return Err(Violation::new(
                rule::DENIAL_IS_A_RESPONSE,
                "`websocket.close` came within a denial response",
            )
            .into());
        }
        if !WebSocketClose::is_valid_code(close.code) {
            return Err(Violation::new(
                rule::VALID_CLOSE_CODE,
                format!("the close code is {}", close.code),
            )
            .into());
        }
        if close.reason.len() > 123 {
            return Err(Violation::new(
                rule::CLOSE_REASON_LENGTH,
                format!("the reason has {} bytes", close.reason.len()),
            )
            .into());
        }
        self.phase = WebSocketPhase::Closed;
        Ok(())
    }

    fn deny(&mut self, event: &SendEvent) -> Result<(), SendError> {
        if !self.features.contains(Feature::DenialResponse) {
            return Err(SendError::NotOffered(Feature::DenialResponse));
        }
        let mut response = match &self.phase {
            WebSocketPhase::Connecting => HttpConversation::denial(self.version),
            WebSocketPhase::Denying(response) => response.clone(),
            _ => {
                return Err(Violation::new(
                    rule::DENIAL_BEFORE_ACCEPT,
                    "the WebSocket has already been accepted",
                )
                .into());
            }
        };
        let result = match event {
            SendEvent::DenialResponseStart(start)
                if start.status.is_success() && self.version == Version::HTTP_2 =>
            {
                return Err(Violation::new(
                    rule::DENIAL_IS_A_RESPONSE,
                    format!(
                        "status {} opens a WebSocket over HTTP/2",
                        start.status.as_u16()
                    ),
                )
                .into());
            }
            SendEvent::DenialResponseStart(start) => {
                response.start(start.status, &start.headers, start.trailers)
            }
            SendEvent::DenialResponseBody(body) => {
                response.body(body.body.len() as u64, body.more_body)
            }
            other => return Err(foreign(other, "a WebSocket").into()),
        };
        match result {
            Ok(()) if *response.phase() == HttpPhase::Ended => self.phase = WebSocketPhase::Closed,
            Ok(()) => self.phase = WebSocketPhase::Denying(response),
            Err(SendError::Violation(broken)) => {
                return Err(Violation::new(
                    rule::DENIAL_IS_A_RESPONSE,
                    format!("{}: {}", broken.rule.id, broken.detail),
                )
                .into());
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Records that the call has returned successfully. Later sends fail with
    /// [`SendError::Disconnected`] (rule `CORE-11`).
    ///
    /// # Errors
    ///
    /// Returns the rule that the call has broken: by returning in this phase, or by an earlier
    /// send.
    pub fn returned(&mut self) -> Result<(), Violation> {
        match std::mem::replace(&mut self.phase, WebSocketPhase::Returned) {
            WebSocketPhase::Connecting => Err(Violation::new(
                rule::ANSWER_BEFORE_RETURN,
                "the application returned without answering the handshake",
            )),
            WebSocketPhase::Denying(_) => Err(Violation::new(
                rule::DENIAL_IS_A_RESPONSE,
                "the application returned in the middle of its denial response",
            )),
            WebSocketPhase::Broken(violation) => Err(violation),
            WebSocketPhase::Open
            | WebSocketPhase::Closed
            | WebSocketPhase::Disconnected
            | WebSocketPhase::Returned => Ok(()),
        }
    }

    /// Checks that the application may send at all in this phase.
    fn open(&self) -> Result<(), SendError> {
        match &self.phase {
            WebSocketPhase::Disconnected | WebSocketPhase::Returned => Err(SendError::Disconnected),
            WebSocketPhase::Broken(violation) => Err(SendError::Violation(violation.clone())),
            WebSocketPhase::Closed => Err(Violation::new(
                rule::NOTHING_AFTER_CLOSE,
                "the WebSocket has already been closed",
            )
            .into()),
            _ => Ok(()),
        }
    }
}
