//! The responses of a connection: each is encoded into the output, and decides what follows it.

use std::task::{Context, Poll};
use std::time::SystemTime;

use callgate::HttpResponseStart;
use callgate_drive::{ResponseBody, replacement};
use callgate_http1::{AfterHead, EncodeError, Persistence, ResponseEncoder};
use http::StatusCode;

use super::Connection;
use crate::exchange::RunningCall;
use crate::http1::end::End;
use crate::http1::incoming::Incoming;
use crate::http1::outgoing::{self, Outgoing, ResponseEnd, StreamedResponse};
use crate::limit::Limit;
use crate::record::Outcome;
use crate::rejection::Rejection;
use crate::stage::Stage;
use crate::websocket::AcceptedWebSocket;

impl Connection {
    /// Begins to send a response.
    pub(super) fn respond(
        &mut self,
        head: HttpResponseStart,
        body: ResponseBody,
        call: Option<RunningCall>,
        encoder: ResponseEncoder,
        cx: &mut Context<'_>,
    ) {
        let Some(mut response) = self.encode_head(head, body, call, encoder) else {
            return;
        };
        // A response that is complete at once is never on the heap.
        match response.poll(&mut self.output, cx) {
            Poll::Ready(end) => self.end_response(end, response.sent()),
            Poll::Pending => self.outgoing = Outgoing::Content(Box::new(response)),
        }
    }

    /// Encodes the head of a response. Returns the response if its content follows.
    fn encode_head(
        &mut self,
        mut head: HttpResponseStart,
        body: ResponseBody,
        call: Option<RunningCall>,
        mut encoder: ResponseEncoder,
    ) -> Option<StreamedResponse> {
        let server = &self.info.server;
        if server.stages.now() != Stage::Serving || !self.incoming.allows_next() {
            encoder.close();
        } else if server.config.limits.is_last_request(self.requests) {
            server.limits.reached(Limit::RequestsPerConnection);
            encoder.close();
        }
        if let Some(records) = &mut self.records {
            records.respond(&mut head);
        }
        let now = SystemTime::now();
        self.responded = Some(now);
        let output = &mut self.output;
        let encoded = outgoing::encode_head(&head, &body, encoder.clone(), server, now, output);
        if let Incoming::Head(decoder) = &mut self.incoming {
            decoder.reuse(head.headers);
        }
        match encoded {
            Ok(AfterHead::Content(encoder)) => {
                self.is_close_delimited = encoder.is_close_delimited();
                Some(StreamedResponse::new(body, encoder, call))
            }
            Ok(AfterHead::End(persistence)) => {
                self.end_response(ResponseEnd::Complete(persistence), 0);
                None
            }
            // CONNECT is rejected, so there is no tunnel.
            Ok(AfterHead::Tunnel) => {
                self.end_response(ResponseEnd::Complete(Persistence::Close), 0);
                None
            }
            Err(error) => self.replace(&error, encoder),
        }
    }

    /// Responds with 500 in place of a response that cannot be encoded.
    #[cold]
    fn replace(
        &mut self,
        error: &EncodeError,
        encoder: ResponseEncoder,
    ) -> Option<StreamedResponse> {
        tracing::error!("the response cannot be sent: {error}");
        let (head, body) = replacement(StatusCode::INTERNAL_SERVER_ERROR);
        self.encode_head(head, body, None, encoder)
    }

    /// Responds to a request for which the application is not called, as the last on the connection.
    #[cold]
    pub(in crate::http1) fn reject(&mut self, rejection: Rejection, encoder: ResponseEncoder) {
        if let Some(records) = &mut self.records {
            records.reject(&self.info);
        }
        self.report(&rejection);
        self.incoming = Incoming::Nothing;
        let (head, body) = rejection.into_response();
        self.outgoing = match self.encode_head(head, body, None, encoder) {
            Some(response) => Outgoing::Content(Box::new(response)),
            None => Outgoing::None,
        };
    }

    /// Counts and logs a request that is rejected.
    #[cold]
    pub(super) fn report(&mut self, rejection: &Rejection) {
        let info = &self.info;
        let record = self.records.as_mut().and_then(|records| records.current());
        info.server.report_rejected(info.client, rejection, record);
    }

    /// Accepts a WebSocket: the connection ends as one of HTTP.
    pub(super) fn upgrade(
        &mut self,
        mut head: HttpResponseStart,
        websocket: AcceptedWebSocket,
        encoder: ResponseEncoder,
    ) {
        let server = &self.info.server;
        let now = SystemTime::now();
        match outgoing::encode_upgrade(&head, encoder.clone(), server, now, &mut self.output) {
            Ok(()) => {
                let records = self.records.as_mut();
                let record = records.and_then(|records| {
                    records.respond(&mut head);
                    records.take()
                });
                self.finish(End::Upgrade(websocket, record));
            }
            Err(error) => {
                let response = self.replace(&error, encoder);
                self.outgoing = response.map_or(Outgoing::None, |response| {
                    Outgoing::Content(Box::new(response))
                });
            }
        }
    }

    /// Ends a response of which `sent` octets of content have been encoded.
    pub(super) fn end_response(&mut self, end: ResponseEnd, sent: u64) {
        self.outgoing = Outgoing::None;
        if let Some(records) = &mut self.records {
            let outcome = match end {
                ResponseEnd::Complete(_) => Outcome::Complete,
                ResponseEnd::Cut => Outcome::CutByApplication,
            };
            records.end_response(outcome, sent, &self.output);
        }
        match end {
            ResponseEnd::Complete(Persistence::KeepAlive) if self.incoming.can_be_skipped() => {
                self.incoming.discard_content();
            }
            // Only a reset shows the client that the response is incomplete.
            ResponseEnd::Cut if self.is_close_delimited => self.finish(End::Reset),
            ResponseEnd::Complete(_) | ResponseEnd::Cut => self.finish(End::Done),
        }
    }
}
