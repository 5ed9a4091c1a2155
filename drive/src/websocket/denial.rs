//! The response to a handshake, on its way from the application to the server: a single response,
//! or a denial response whose content follows event by event.

use std::collections::VecDeque;
use std::sync::Arc;

use callgate::{HttpResponseBody, HttpResponseStart};

use super::handshake::HandshakeResponse;
use crate::ResponseBody;
use crate::head::has_no_content;
use crate::output::{Output, OutputSource, Piece};

/// The part of the response that the server has not taken.
#[derive(Debug, Default)]
pub(super) enum ResponseSlot {
    #[default]
    Empty,
    /// The head of a denial response. The first body event shows whether more content follows.
    DenialHead(HttpResponseStart),
    /// A complete response.
    Response(HandshakeResponse),
    /// The head and the first content of a denial response. More content follows.
    DenialStart(HttpResponseStart, VecDeque<Output>),
    /// Further content of a denial response: one piece, or more where several tasks of the
    /// application saw the same readiness.
    DenialContent(VecDeque<Output>),
    /// The client gets no more of the denial response: further content is dropped.
    Discarding,
}

impl ResponseSlot {
    /// Returns whether a further body event must wait until the server has taken this content.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::DenialStart(..) | Self::DenialContent(_))
    }

    pub(super) fn is_discarding(&self) -> bool {
        matches!(self, Self::Discarding)
    }

    /// Adds a body event of a denial response.
    #[must_use]
    pub(super) fn with_content(self, part: HttpResponseBody) -> Self {
        let is_last = !part.more_body;
        let (head, mut content) = match self {
            Self::DenialHead(head) if is_last => {
                return Self::Response(HandshakeResponse::Deny(head, part.body.into()));
            }
            Self::DenialHead(head) => (Some(head), VecDeque::new()),
            Self::DenialStart(head, content) => (Some(head), content),
            Self::DenialContent(content) => (None, content),
            Self::Empty => (None, VecDeque::new()),
            answered @ (Self::Response(_) | Self::Discarding) => return answered,
        };
        content.push_back(Output {
            content: Piece::Data(part.body),
            is_last,
        });
        match head {
            Some(head) => Self::DenialStart(head, content),
            None => Self::DenialContent(content),
        }
    }

    /// Takes the response, if it can be started. `source` yields the content that follows.
    pub(super) fn take_response(
        &mut self,
        source: &Arc<impl OutputSource>,
    ) -> Option<HandshakeResponse> {
        match std::mem::take(self) {
            Self::Response(response) => Some(response),
            Self::DenialStart(head, _) if has_no_content(head.status) => {
                *self = Self::Discarding;
                Some(HandshakeResponse::Deny(head, ResponseBody::empty()))
            }
            Self::DenialStart(head, content) => {
                *self = Self::DenialContent(content);
                let body = ResponseBody::streamed(source.clone(), &head);
                Some(HandshakeResponse::Deny(head, body))
            }
            incomplete => {
                *self = incomplete;
                None
            }
        }
    }

    /// Takes further content of a denial response.
    pub(super) fn take_content(&mut self) -> Option<Output> {
        let Self::DenialContent(content) = self else {
            return None;
        };
        let output = content.pop_front();
        if content.is_empty() {
            *self = Self::Empty;
        }
        output
    }
}
