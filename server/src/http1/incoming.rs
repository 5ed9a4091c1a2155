//! The requests of a connection, as far as they have been read.

use std::task::Context;

use callgate_http1::{ContentDecoder, DecodeError, DecodedContent, HeadDecoder, Next, RequestHead};
use http::Request;
use http::request::Parts;

use super::content::{self, ContentError, ContentSender, Demand, RequestContent};
use super::input::Input;
use super::records::Records;
use crate::config::Limits;
use crate::rejection::Rejection;

/// The most content that is read and discarded after a response, in octets. With more, the
/// connection is closed.
const DISCARDED: u64 = 64 * 1024;

/// The kind of the next octets of the input.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The head of the next request.
    Head(HeadDecoder),
    /// Content for the application.
    Content(IncomingContent),
    /// Content that the application did not receive. The next request follows it.
    Discarded(DiscardedContent),
    /// No more input is decoded.
    Nothing,
}

/// Content that is decoded when the application receives.
#[derive(Debug)]
pub(super) struct IncomingContent {
    decoder: ContentDecoder,
    sender: ContentSender,
    /// Whether the client waits for `100 Continue`.
    awaits_continue: bool,
}

/// The rest of content, which is skipped.
#[derive(Debug)]
pub(super) struct DiscardedContent {
    decoder: ContentDecoder,
    /// The count of [`ContentDecoder::received`] at which the connection is closed.
    limit: u64,
}

/// Returns the content of a request whose head has been decoded, and what follows the head.
pub(super) fn begin(
    next: Next,
    awaits_continue: bool,
    input: &mut Input,
) -> Result<(RequestContent, Incoming), DecodeError> {
    let decoder = match next {
        Next::Head(decoder) => return Ok((RequestContent::Empty, Incoming::Head(decoder))),
        Next::Content(decoder) => decoder,
    };
    let has_come = (decoder.remaining()).is_some_and(|left| left <= input.buffer.len() as u64);
    if !has_come || awaits_continue {
        return Ok(streamed(decoder, awaits_continue));
    }
    // Content that came with the head needs no queue.
    Ok(match decoder.decode(&mut input.buffer)? {
        DecodedContent::Incomplete(decoder) => streamed(decoder, false),
        DecodedContent::End(_, decoder) => (RequestContent::Empty, Incoming::Head(decoder)),
        DecodedContent::Data(content, decoder) => {
            let incoming = match decoder.decode(&mut input.buffer)? {
                DecodedContent::End(_, decoder) => Incoming::Head(decoder),
                _ => Incoming::Nothing,
            };
            (RequestContent::Whole(content), incoming)
        }
    })
}

/// Returns the head for the scope of the request.
pub(super) fn into_parts(head: RequestHead) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = head.method;
    parts.uri = head.target;
    parts.version = head.version;
    parts.headers = head.headers;
    parts
}

fn streamed(decoder: ContentDecoder, awaits_continue: bool) -> (RequestContent, Incoming) {
    let (sender, receiver) = content::channel();
    let content = IncomingContent {
        decoder,
        sender,
        awaits_continue,
    };
    (
        RequestContent::Streamed(receiver),
        Incoming::Content(content),
    )
}

impl Incoming {
    /// Returns whether content of the running request is still to be decoded.
    pub(super) fn has_content(&self) -> bool {
        matches!(self, Self::Content(_))
    }

    /// Returns whether the application waits for content that has not come.
    pub(super) fn is_content_wanted(&self) -> bool {
        match self {
            Self::Content(content) => content.sender.demand() == Demand::Waiting,
            _ => false,
        }
    }

    /// Returns whether the application waits for content and the client for `100 Continue`, and
    /// records that it is sent.
    pub(super) fn take_continue(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Content(content) if content.awaits_continue => {
                let is_wanted = content.sender.poll_demand(cx) == Demand::Waiting;
                content.awaits_continue = !is_wanted;
                is_wanted
            }
            _ => false,
        }
    }

    /// Decodes content that the application waits for. Returns whether content, its end or an error
    /// has been passed to the application. The task of the connection is woken when the application
    /// begins to wait.
    ///
    /// # Errors
    ///
    /// Returns why the content is malformed or too large. The application's receive fails.
    pub(super) fn decode_content(
        &mut self,
        input: &mut Input,
        limits: &Limits,
        mut records: Option<&mut Records>,
        cx: &mut Context<'_>,
    ) -> Result<bool, Rejection> {
        let Some(mut content) = self.take_wanted(cx) else {
            return Ok(false);
        };
        loop {
            match content.decoder.decode(&mut input.buffer) {
                Ok(DecodedContent::Incomplete(decoder)) if !input.is_ended() => {
                    content.decoder = decoder;
                    *self = Self::Content(content);
                    return Ok(false);
                }
                Ok(DecodedContent::Incomplete(_)) => content.sender.fail(ContentError::Cut, cx),
                Ok(DecodedContent::Data(_, decoder)) if limits.is_too_large(decoder.received()) => {
                    content.sender.fail(ContentError::TooLarge, cx);
                    return Err(Rejection::content_too_large());
                }
                Ok(DecodedContent::Data(data, decoder)) => {
                    if let Some(records) = &mut records {
                        records.received(data.len() as u64);
                    }
                    content.sender.send(data, cx);
                    content.decoder = decoder;
                    // The end of content of a known length follows without a further octet.
                    if content.decoder.remaining() == Some(0) {
                        continue;
                    }
                    *self = Self::Content(content);
                }
                Ok(DecodedContent::End(trailers, decoder)) => {
                    content.sender.complete(trailers, cx);
                    *self = Self::Head(decoder);
                }
                Err(error) => {
                    content.sender.fail(ContentError::Malformed(error), cx);
                    return Err(error.into());
                }
            }
            return Ok(true);
        }
    }

    /// Takes the content if the application waits for it.
    fn take_wanted(&mut self, cx: &mut Context<'_>) -> Option<IncomingContent> {
        match self {
            Self::Content(content) if content.sender.poll_demand(cx) == Demand::Waiting => {}
            _ => return None,
        }
        match std::mem::replace(self, Self::Nothing) {
            Self::Content(content) => Some(content),
            _ => None,
        }
    }

    /// Has the application's receive fail, because the client makes no progress with its content.
    pub(super) fn fail_content(&mut self, error: ContentError, cx: &mut Context<'_>) {
        if let Self::Content(content) = std::mem::replace(self, Self::Nothing) {
            content.sender.fail(error, cx);
        }
    }

    /// Returns whether the connection may serve another request after the response that begins now.
    /// It may not if the client waits for `100 Continue`, which is not sent any more, or if the
    /// application has left too much content.
    pub(super) fn allows_next(&self) -> bool {
        match self {
            Self::Content(content) if content.sender.demand() == Demand::Dropped => {
                self.can_be_skipped()
            }
            Self::Content(content) => !content.awaits_continue,
            Self::Nothing => false,
            Self::Head(_) | Self::Discarded(_) => true,
        }
    }

    /// Returns whether the next request can be read after a response that ends now. It cannot if the
    /// client may withhold the rest of the content, or if too much of the content is left.
    pub(super) fn can_be_skipped(&self) -> bool {
        match self {
            Self::Content(content) => {
                let left = content.decoder.remaining();
                !content.awaits_continue && left.is_none_or(|left| left <= DISCARDED)
            }
            Self::Nothing => false,
            Self::Head(_) | Self::Discarded(_) => true,
        }
    }

    /// Discards what is left of the content, after the response.
    pub(super) fn discard_content(&mut self) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Content(IncomingContent { decoder, .. }) => Self::Discarded(DiscardedContent {
                limit: decoder.received().saturating_add(DISCARDED),
                decoder,
            }),
            other => other,
        };
    }

    /// Skips content that is discarded. Returns false when the connection cannot serve another
    /// request.
    pub(super) fn skip(&mut self, input: &mut Input) -> bool {
        if !matches!(self, Self::Discarded(_)) {
            return true;
        }
        let Self::Discarded(mut content) = std::mem::replace(self, Self::Nothing) else {
            return true;
        };
        loop {
            match content.decoder.decode(&mut input.buffer) {
                Ok(DecodedContent::Data(_, decoder)) if decoder.received() <= content.limit => {
                    content.decoder = decoder;
                }
                Ok(DecodedContent::Incomplete(decoder)) if !input.is_ended() => {
                    content.decoder = decoder;
                    *self = Self::Discarded(content);
                    return true;
                }
                Ok(DecodedContent::End(_, decoder)) => {
                    *self = Self::Head(decoder);
                    return true;
                }
                _ => return false,
            }
        }
    }
}
