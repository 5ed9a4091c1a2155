use bytestring::ByteString;
use http::Version;

use super::foreign;
use super::http::{HttpConversation, HttpPhase, hop_by_hop};
use crate::rule;
use crate::{
    Feature, Features, SendError, SendEvent, Violation, WebSocketAccept, WebSocketClose,
    WebSocketScope,
};

/// What an application has sent on one WebSocket, and so what it may send next.
#[derive(Clone, Debug)]
pub struct WebSocketConversation {
    phase: WebSocketPhase,
    subprotocols: Vec<ByteString>,
    version: Version,
    features: Features,
}

/// The life of a WebSocket, as far as the application's events go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WebSocketPhase {
    /// The handshake has not been answered.
    Connecting,
    /// The handshake is being answered with an HTTP response in place of a WebSocket.
    Denying(HttpConversation),
    /// The WebSocket is open.
    Open,
    /// The application has closed it, or refused it.
    Closed,
    /// A rule has been broken; nothing can be sent any more.
    Broken(Violation),
    /// Nobody is there any more; nothing can be sent.
    Disconnected,
    /// The call has returned; nothing can be sent any more.
    Returned,
}

impl WebSocketConversation {
    /// The conversation of an exchange with this scope.
    #[must_use]
    pub fn new(scope: &WebSocketScope) -> Self {
        Self {
            phase: WebSocketPhase::Connecting,
            subprotocols: scope.subprotocols.clone(),
            version: scope.version,
            features: scope.features,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> &WebSocketPhase {
        &self.phase
    }

    /// Notes that nobody is there any more. A WebSocket that is closed or broken stays so.
    pub fn disconnect(&mut self) {
        if !matches!(
            self.phase,
            WebSocketPhase::Closed | WebSocketPhase::Broken(_) | WebSocketPhase::Returned
        ) {
            self.phase = WebSocketPhase::Disconnected;
        }
    }

    /// Whether the application is to be told of a disconnect and has the grace period from now on:
    /// the client is gone, or a rule was broken, before the last event (rules `CORE-14`,
    /// `CORE-21`).
    #[must_use]
    pub fn is_broken_off(&self) -> bool {
        match &self.phase {
            WebSocketPhase::Disconnected => true,
            WebSocketPhase::Broken(violation) => violation.rule != rule::NOTHING_AFTER_CLOSE,
            _ => false,
        }
    }

    /// Shows the conversation an event that the application sends.
    ///
    /// # Errors
    ///
    /// The reason why it may not go out. After a violation every later event fails with the same.
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
        if !matches!(close.code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
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

    /// Shows the conversation that the call has returned successfully. Later sends fail with
    /// [`SendError::Disconnected`] (rule `CORE-11`).
    ///
    /// # Errors
    ///
    /// The rule that the call has broken: by returning now, or by a send before.
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

    /// Whether anything can be sent at all.
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
