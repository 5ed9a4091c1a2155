//! An HTTP/1 connection as one state machine: requests are decoded from the input, answered one after
//! the other, and their responses are encoded into the output.

mod responses;
mod waits;

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::BytesMut;
use callgate_http1::{DecodedHead, Expectation, HeadDecoder, Next, RequestHead, ResponseEncoder};
use http_body::Body as _;
use tokio::task::coop::unconstrained;
use tracing::Span;

use super::content;
use super::end::{End, Remainder};
use super::incoming::{self, Incoming};
use super::input::Input;
use super::outgoing::{self, Outgoing, PendingExchange, PendingHandshake};
use super::output::Output;
use super::records::Records;
use crate::buffers::BufferShare;
use crate::connection::ConnectionInfo;
use crate::deadline::LAST_REQUEST;
use crate::exchange::{self, Exchange};
use crate::rejection::Rejection;
use crate::report;
use crate::request::{self, ParsedRequest};
use crate::stage::Stage;
use crate::stream::Stream;
use crate::websocket::{self, Handshake};

/// The rounds of one poll. Then the other tasks of the thread run.
const MAX_ROUNDS: usize = 64;

/// How much input is taken in while the application does not receive, in octets. With more, only the
/// end of the connection is noticed.
const READ_AHEAD: usize = 16 * 1024;

/// A connection until its end.
#[derive(Debug)]
pub(super) struct Connection {
    info: ConnectionInfo,
    buffers: BufferShare,
    stream: Stream,
    input: Input,
    output: Output,
    incoming: Incoming,
    outgoing: Outgoing,
    /// `None` if the server takes no records.
    records: Option<Box<Records>>,
    /// The number of requests whose head has been decoded.
    requests: u64,
    /// When the last response was encoded to its end, or written if that took longer.
    responded: Option<SystemTime>,
    /// Whether the connection waits for one more request although the server shuts down.
    awaits_last_request: bool,
    /// Whether only the end of the connection is the end of the last response.
    is_close_delimited: bool,
    /// Whether the system has reported the end of the connection while input is still unread.
    has_hung_up: bool,
    /// How the connection ends when all output has been written. No request is served any more.
    end: Option<End>,
}

impl Connection {
    /// Creates the connection over a stream of which `read` has been read.
    pub(super) fn new(info: ConnectionInfo, stream: Stream, read: BytesMut) -> Self {
        let decoder = HeadDecoder::new(info.server.http1.clone());
        Self {
            records: Records::new(&info),
            buffers: BufferShare::new(info.open.clone()),
            info,
            stream,
            input: Input::new(read),
            output: Output::default(),
            incoming: Incoming::Head(decoder),
            outgoing: Outgoing::None,
            requests: 0,
            responded: None,
            awaits_last_request: false,
            is_close_delimited: false,
            has_hung_up: false,
            end: None,
        }
    }

    /// Returns the number of requests whose head has been decoded.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Returns what is left of the connection.
    pub(super) fn into_remainder(self) -> Remainder {
        if let Some(records) = self.records {
            let sent = match &self.outgoing {
                Outgoing::Content(response) => response.sent(),
                _ => 0,
            };
            records.end(sent, &self.output);
        }
        Remainder {
            is_input_ended: self.input.is_ended(),
            stream: self.stream,
            unread: self.input.buffer.freeze(),
        }
    }

    /// Serves requests until the connection ends.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let mut has_waited = !self.output.is_empty();
        for _ in 0..MAX_ROUNDS {
            self.poll_outgoing(cx);
            if self.begin_next(cx) {
                continue;
            }
            self.send_continue(cx);
            match self.decode_content(cx) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(rejection) => {
                    self.report(&rejection);
                    continue;
                }
            }
            let was_full = self.output.is_full();
            let written = self.poll_output(cx);
            if let Some(records) = &mut self.records {
                records.written(&self.output, self.stream.is_secured());
            }
            match written {
                Poll::Ready(Ok(())) => {
                    if let Some(end) = self.end.take() {
                        return Poll::Ready(end);
                    }
                    if std::mem::take(&mut has_waited) {
                        self.responded = Some(SystemTime::now());
                    }
                    if was_full {
                        continue;
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(self.fail(&error)),
                Poll::Pending => {}
            }
            if let Err(error) = ready!(self.poll_input(cx)) {
                return Poll::Ready(self.fail(&error));
            }
        }
        // The other tasks of the thread run.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Decodes content that the application waits for. Returns whether there was some, or its end.
    fn decode_content(&mut self, cx: &mut Context<'_>) -> Result<bool, Rejection> {
        let limits = &self.info.server.config.limits;
        let records = self.records.as_deref_mut();
        self.incoming
            .decode_content(&mut self.input, limits, records, cx)
    }

    /// Writes the output. An application that uses up the budget of the task does not hold it back.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let writing = poll_fn(|cx| self.output.poll_write(&mut self.stream, cx));
        pin!(unconstrained(writing)).poll(cx)
    }

    /// Has the application go on with the response in flight.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) {
        loop {
            match &mut self.outgoing {
                Outgoing::None => return,
                // Early hints wait until the output before them has been written.
                Outgoing::Exchange(_) if self.output.is_full() => return,
                Outgoing::Exchange(pending) => match pending.poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(exchange::Response::EarlyHints(links)) => {
                        outgoing::encode_early_hints(links, &pending.encoder, &mut self.output);
                    }
                    Poll::Ready(exchange::Response::Final(head, body)) => {
                        let (encoder, call) = (pending.encoder.clone(), pending.take_call());
                        self.respond(head, body, call, encoder, cx);
                    }
                    Poll::Ready(exchange::Response::ClientGone) => self.finish(End::Gone),
                },
                Outgoing::Handshake(pending) => match pending.handshake.poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(websocket::Response::Accepted(head, websocket)) => {
                        let encoder = pending.encoder.clone();
                        self.upgrade(head, websocket, encoder);
                    }
                    Poll::Ready(websocket::Response::Refused(head, body)) => {
                        let encoder = pending.encoder.clone();
                        self.respond(head, body, None, encoder, cx);
                    }
                },
                Outgoing::Content(response) => match response.poll(&mut self.output, cx) {
                    Poll::Pending => return,
                    Poll::Ready(end) => {
                        let sent = response.sent();
                        self.responded = Some(SystemTime::now());
                        self.end_response(end, sent);
                    }
                },
            }
        }
    }

    /// Begins the next request if its head has come. Returns whether the connection has made
    /// progress.
    fn begin_next(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(self.outgoing, Outgoing::None) || self.end.is_some() || self.output.is_full() {
            return false;
        }
        if !self.incoming.skip(&mut self.input) {
            self.end = Some(End::Done);
            return true;
        }
        if self.input.buffer.is_empty() && matches!(self.incoming, Incoming::Head(_)) {
            return self.end_if_no_request_comes(false, cx);
        }
        let decoder = match std::mem::replace(&mut self.incoming, Incoming::Nothing) {
            Incoming::Head(decoder) => decoder,
            // Content is still to be skipped.
            other => {
                self.incoming = other;
                return self.end_if_no_request_comes(false, cx);
            }
        };
        match decoder.decode(&mut self.input.buffer) {
            Ok(DecodedHead::Complete(head, next)) => {
                self.begin(head, next, cx);
                // A new exchange has just been polled.
                !matches!(self.outgoing, Outgoing::Exchange(_))
            }
            Ok(DecodedHead::Incomplete(decoder)) => {
                let has_begun = decoder.buffered(&self.input.buffer) > 0;
                self.incoming = Incoming::Head(decoder);
                self.end_if_no_request_comes(has_begun, cx)
            }
            Err(error) => {
                self.reject(error.into(), ResponseEncoder::for_malformed_request());
                true
            }
        }
    }

    /// Ends the connection if no request will come. Returns whether the connection has made progress.
    fn end_if_no_request_comes(&mut self, has_begun: bool, cx: &mut Context<'_>) -> bool {
        if !self.input.is_ended() {
            if has_begun || self.info.server.stages.now() == Stage::Serving {
                return false;
            }
            // A request that has arrived before the shutdown is still served.
            self.stream.read_directly();
            match self.input.poll_read(&mut self.stream, usize::MAX, cx) {
                Poll::Ready(Ok(1..)) => return true,
                Poll::Pending if self.may_get_last_request() => {
                    self.awaits_last_request = true;
                    return false;
                }
                Poll::Pending | Poll::Ready(_) => {}
            }
        }
        self.end = Some(End::Done);
        true
    }

    /// Returns whether the next request may be on its way, because the last response is recent.
    fn may_get_last_request(&self) -> bool {
        let is_recent = |responded: SystemTime| {
            // A clock that has been set back tells nothing.
            responded.elapsed().map_or(true, |age| age < LAST_REQUEST)
        };
        self.awaits_last_request || !self.output.is_empty() || self.responded.is_some_and(is_recent)
    }

    /// Calls the application for a request.
    fn begin(&mut self, head: RequestHead, next: Next, cx: &mut Context<'_>) {
        self.requests += 1;
        let encoder = ResponseEncoder::new(&head);
        let awaits_continue = head.expectation == Expectation::Continue;
        let mut parts = incoming::into_parts(head);
        if let Some(records) = &mut self.records {
            records.begin(&mut parts, &self.info);
        }
        if let Next::Content(decoder) = &next
            && let Some(length) = decoder.remaining()
            && self.info.server.config.limits.is_too_large(length)
        {
            return self.reject(Rejection::content_too_large(), encoder);
        }
        let content = match incoming::begin(next, awaits_continue, &mut self.input) {
            Ok((content, incoming)) => {
                self.incoming = incoming;
                content
            }
            Err(error) => return self.reject(error.into(), encoder),
        };
        match request::read(parts, false, &self.info) {
            Ok(ParsedRequest::Http(scope)) => {
                let mut span = Span::none();
                if let Some(records) = &mut self.records {
                    span = records.called(&scope, false);
                    records.received(content.size_hint().lower());
                }
                let server = &self.info.server;
                let mut exchange =
                    Exchange::new(scope, content, content::status_for, &self.info, span);
                // An exchange that completes at the first poll is never on the heap.
                match exchange.poll(cx, server) {
                    Poll::Ready(exchange::Response::Final(head, body)) => {
                        let call = exchange.take_call(server);
                        self.respond(head, body, call, encoder, cx);
                    }
                    Poll::Ready(exchange::Response::ClientGone) => self.end = Some(End::Gone),
                    early => {
                        if let Poll::Ready(exchange::Response::EarlyHints(links)) = early {
                            outgoing::encode_early_hints(links, &encoder, &mut self.output);
                            // The exchange is polled again.
                            cx.waker().wake_by_ref();
                        }
                        let pending = PendingExchange::new(exchange, encoder, server);
                        self.outgoing = Outgoing::Exchange(Box::new(pending));
                    }
                }
            }
            Ok(ParsedRequest::WebSocket(scope)) => {
                let records = self.records.as_mut();
                let span = records.map_or_else(Span::none, |records| records.called(&scope, true));
                let handshake = Handshake::new(scope, &self.info, span);
                let pending = PendingHandshake { handshake, encoder };
                self.outgoing = Outgoing::Handshake(Box::new(pending));
            }
            Err(rejection) => self.reject(rejection, encoder),
        }
    }

    /// Serves no further request, and ends the connection when all output has been written.
    fn finish(&mut self, end: End) {
        self.outgoing = Outgoing::None;
        self.incoming = Incoming::Nothing;
        self.end = Some(end);
    }

    /// Sends `100 Continue` when the application begins to receive (rule `HTTP-10`).
    fn send_continue(&mut self, cx: &mut Context<'_>) {
        if let Outgoing::Exchange(pending) = &self.outgoing
            && self.incoming.take_continue(cx)
        {
            self.output
                .encode(|octets| pending.encoder.encode_continue(octets));
        }
    }

    /// Reads, so that a request, content or the end of the input is noticed.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.input.is_ended() || self.end.is_some() {
            return Poll::Pending;
        }
        let is_idle = matches!(self.outgoing, Outgoing::None);
        let needs_input = match is_idle {
            true => !self.output.is_full(),
            false => self.incoming.is_content_wanted(),
        };
        if !needs_input && self.input.buffer.len() >= READ_AHEAD {
            if self.has_hung_up {
                return Poll::Pending;
            }
            ready!(self.stream.poll_hang_up(cx));
            self.has_hung_up = true;
            // An error says that the connection is lost.
            return Poll::Ready(self.stream.take_error());
        }
        let most = match needs_input {
            true => usize::MAX,
            false => READ_AHEAD - self.input.buffer.len(),
        };
        let reading = poll_fn(|cx| self.input.poll_read(&mut self.stream, most, cx));
        pin!(unconstrained(reading)).poll(cx).map_ok(drop)
    }

    /// Counts what the connection buffers.
    #[inline]
    pub(super) fn count_buffers(&self) {
        self.buffers
            .set(self.input.buffer.capacity() + self.output.buffered());
    }

    /// Frees the memory that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        self.input.shrink();
        self.output.shrink();
    }

    #[cold]
    fn fail(&self, error: &io::Error) -> End {
        report::failed(self.info.client, error);
        End::Gone
    }
}
