//! The state of a mailbox: output that the server has not taken, and the tasks that wait.

use std::path::PathBuf;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use callgate::conversation::{HttpConversation, HttpPhase};
use callgate::{
    Feature, HttpResponseStart, HttpScope, ReceiveEvent, SendError, SendEvent, SendProgress,
};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};

use super::content::Content;
use super::response::Response;
use crate::call::{CallResult, EndReport};
use crate::file::{FileBody, Opened, Opening, open_cached};
use crate::head::has_no_content;
use crate::output::{Incomplete, Output, Piece};
use crate::request_body::RequestBody;
use crate::sync::{Deferring, WakeList, WakerSet, register};
use crate::trailers::Trailers;
use crate::{ResponseBody, ShutdownSignal};

/// The state of a mailbox, behind its mutex.
pub(super) struct MailboxState<B: Content> {
    pub(super) conversation: HttpConversation,
    is_head_request: bool,
    pub(super) request: RequestBody<B>,
    /// The signal for `http.shutdown`; `None` where the feature is not offered, and after the
    /// event.
    shutdown: Option<ShutdownSignal>,
    /// Early hints that the server has not taken, one list of links for each event.
    early_hints: Vec<Vec<HeaderValue>>,
    /// The head, which is held back until the first output shows how to frame the response.
    head: Option<HttpResponseStart>,
    slot: Slot,
    /// Output of tasks that saw the same readiness as the task whose output is in the slot.
    backlog: Vec<Output>,
    /// Trailer fields that more are to follow. All of them are sent together.
    trailers: Option<Box<Trailers>>,
    /// A path send whose file is being opened.
    opening: Option<Box<Opening>>,
    /// The task that waits to receive.
    pub(super) receiver: Option<Waker>,
    /// The tasks of the application that wait to send.
    pub(super) senders: WakerSet,
    /// The task of the connection, which waits for output.
    connection: Option<Waker>,
    /// The task of a detached call, which waits for a disconnect.
    pub(super) task: Option<Waker>,
    work: Work<B>,
}

/// Output for the server, or the reason why there will be none.
#[derive(Debug)]
enum Slot {
    Empty,
    Output(Output),
    /// The server responds with this status in place of the application.
    Replacement(StatusCode),
    /// The client was gone before the response started.
    Disconnected,
    /// All further output is discarded: the client takes no content (HEAD, 204, 304), or has all
    /// that `content-length` announced.
    Discard,
}

/// The work that is done after the unlock.
pub(super) struct Work<B> {
    wakes: WakeList,
    /// Content of the request that will not be read.
    unread: Option<B>,
    /// A path send and its result.
    opened: Option<Box<(Opening, Result<(), SendError>)>>,
}

impl<B> Default for Work<B> {
    fn default() -> Self {
        Self {
            wakes: WakeList::default(),
            unread: None,
            opened: None,
        }
    }
}

impl<B: Content> Deferring for MailboxState<B> {
    type Work = Work<B>;

    #[inline]
    fn take_work(&mut self) -> Option<Work<B>> {
        let work = &self.work;
        let is_empty = work.wakes.is_empty() && work.unread.is_none() && work.opened.is_none();
        (!is_empty).then(|| std::mem::take(&mut self.work))
    }

    fn run(work: Work<B>) {
        drop(work.unread);
        if let Some(opened) = work.opened {
            let (opening, result) = *opened;
            opening.finish(result);
        }
        work.wakes.wake();
    }
}

impl<B: Content> MailboxState<B> {
    /// Runs the collected work where it is. For a mailbox without another user.
    #[inline]
    pub(super) fn run_work(&mut self) {
        self.work.unread = None;
        if self.work.opened.is_some() || !self.work.wakes.is_empty() {
            Self::run(std::mem::take(&mut self.work));
        }
    }

    pub(super) fn new(scope: &HttpScope, request: B, shutdown: &ShutdownSignal) -> Self {
        let is_told = scope.features.contains(Feature::Shutdown);
        Self {
            conversation: HttpConversation::new(scope),
            is_head_request: scope.method == Method::HEAD,
            request: RequestBody::Incoming(request),
            shutdown: is_told.then(|| shutdown.clone()),
            early_hints: Vec::new(),
            head: None,
            slot: Slot::Empty,
            backlog: Vec::new(),
            trailers: None,
            opening: None,
            receiver: None,
            senders: WakerSet::default(),
            connection: None,
            task: None,
            work: Work::default(),
        }
    }

    /// Returns what to respond with, once the application has sent enough.
    #[inline]
    pub(super) fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        if !self.early_hints.is_empty() {
            let links = self.early_hints.remove(0);
            self.work.wakes.add_all(&mut self.senders);
            return Poll::Ready(Response::EarlyHints(links));
        }
        if self.opening.is_some() {
            self.poll_opening(cx);
        }
        if matches!(self.slot, Slot::Empty | Slot::Discard) {
            register(&mut self.connection, cx.waker());
            return Poll::Pending;
        }
        let slot = std::mem::replace(&mut self.slot, Slot::Empty);
        Poll::Ready(match (self.head.take(), slot) {
            (Some(head), Slot::Output(first)) => {
                self.work.wakes.add_all(&mut self.senders);
                self.start(head, first)
            }
            (_, Slot::Replacement(status)) => {
                self.finish_request();
                Response::Replacement(status)
            }
            _ => Response::Disconnected,
        })
    }

    /// Starts the response, whose head and first content are known.
    #[inline]
    fn start(&mut self, mut head: HttpResponseStart, first: Output) -> Response {
        if first.is_last {
            self.finish_request();
        }
        if self.is_head_request || has_no_content(head.status) {
            self.slot = Slot::Discard;
            self.backlog.clear();
            if first.is_last {
                add_length(&mut head, &first.content);
            }
            return Response::Started(head, ResponseBody::empty());
        }
        if !first.is_last {
            self.slot = Slot::Output(first);
            return Response::Started(head, ResponseBody::empty());
        }
        if matches!(&first.content, Piece::Data(data) if data.is_empty()) {
            // hyper adds the length of empty content over HTTP/1 only.
            let zero = HeaderValue::from_static("0");
            head.headers.entry(CONTENT_LENGTH).or_insert(zero);
        }
        Response::Started(head, ResponseBody::of(first.content))
    }

    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        if !matches!(self.slot, Slot::Output(_)) {
            if self.conversation.is_over() {
                return Poll::Ready(Err(Incomplete));
            }
            register(&mut self.connection, cx.waker());
            return Poll::Pending;
        }
        let next = if self.backlog.is_empty() {
            Slot::Empty
        } else {
            Slot::Output(self.backlog.remove(0))
        };
        if matches!(next, Slot::Empty) {
            self.work.wakes.add_all(&mut self.senders);
        }
        let Slot::Output(output) = std::mem::replace(&mut self.slot, next) else {
            unreachable!("the slot has just been looked at");
        };
        if output.is_last {
            self.finish_request();
        }
        Poll::Ready(Ok(output))
    }

    pub(super) fn content_complete(&mut self) {
        self.slot = Slot::Discard;
        self.backlog.clear();
        self.work.wakes.add_all(&mut self.senders);
        self.work.wakes.add(&mut self.task);
        if self.conversation.is_over() {
            self.finish_request();
        }
    }

    /// Returns whether the response has started and more of its content is to be polled for. Its
    /// first content is still in the slot then.
    #[inline]
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.slot, Slot::Output(_))
    }

    /// Returns whether an event must wait until the server has taken the output before it.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let is_occupied = matches!(self.slot, Slot::Output(_))
            || self.opening.is_some()
            || !self.early_hints.is_empty();
        is_occupied && !self.conversation.is_over()
    }

    pub(super) fn is_discarding(&self) -> bool {
        matches!(self.slot, Slot::Discard)
    }

    /// Takes an event from the application.
    #[inline]
    pub(super) fn send(&mut self, event: SendEvent) -> Result<SendProgress, SendError> {
        if let SendEvent::HttpResponseTrailers(trailers) = &event
            && matches!(self.conversation.phase(), HttpPhase::Trailers(_))
        {
            let all = self.trailers.get_or_insert_default();
            all.check(&trailers.headers)?;
        }
        let was_replaceable = self.conversation.is_replaceable();
        let result = match self.opening {
            Some(_) => Err(self.send_during_opening(&event)),
            None => self.conversation.send(&event),
        };
        if let Err(error) = result {
            if error.rule().is_some() {
                self.broken(was_replaceable);
            }
            return Err(error);
        }
        match event {
            SendEvent::HttpResponseStart(start) => self.head = Some(start),
            SendEvent::HttpResponseBody(body) => self.output(Piece::Data(body.body)),
            SendEvent::HttpResponseTrailers(trailers) => {
                let mut all = self.trailers.take().unwrap_or_default();
                all.append(trailers.headers);
                if trailers.more_trailers {
                    self.trailers = Some(all);
                } else {
                    let fields = all.into_fields();
                    self.output(if fields.is_empty() {
                        // A response without trailer fields ends with empty content.
                        Piece::Data(Bytes::new())
                    } else {
                        Piece::Trailers(Box::new(fields))
                    });
                }
            }
            SendEvent::HttpResponsePathSend(file) => return self.open(file.path),
            SendEvent::HttpResponseEarlyHint(hint) => {
                self.early_hints.push(hint.links);
                self.work.wakes.add(&mut self.connection);
            }
            _ => {}
        }
        Ok(SendProgress::Sent)
    }

    /// Opens the file of a path send, or begins to. In the latter case the server polls for the file,
    /// because the server will send it.
    fn open(&mut self, path: PathBuf) -> Result<SendProgress, SendError> {
        let path = match open_cached(path) {
            Ok(file) => return self.file_opened(file).map(|()| SendProgress::Sent),
            Err(path) => path,
        };
        let (opening, rest) = Opening::new(path);
        self.opening = Some(Box::new(opening));
        self.work.wakes.add(&mut self.connection);
        Ok(SendProgress::Pending(rest))
    }

    /// Sends a file that has been opened.
    fn file_opened(&mut self, file: FileBody) -> Result<(), SendError> {
        let result = self.conversation.file(file.remaining());
        match &result {
            Ok(()) => self.output(Piece::File(Box::new(file))),
            Err(_) => self.broken(true),
        }
        result
    }

    /// Refuses an event that came while a file is opened: its thread has seen the same readiness as
    /// the thread of the path send.
    #[cold]
    fn send_during_opening(&mut self, event: &SendEvent) -> SendError {
        match self.conversation.clone().send(event) {
            Err(error) if error.rule().is_none() => error,
            _ => self.conversation.path_send_interrupted(),
        }
    }

    #[cold]
    fn poll_opening(&mut self, cx: &mut Context<'_>) {
        let opened = self.opening.as_mut().map(|opening| opening.poll(cx));
        let Some(Poll::Ready(opened)) = opened else {
            return;
        };
        let result = match opened {
            Opened::File(file) => self.file_opened(file),
            Opened::Failed(error) => Err(error),
            Opened::Cancelled => Err(SendError::Disconnected),
        };
        self.opening_finished(result);
    }

    fn opening_finished(&mut self, result: Result<(), SendError>) {
        if let Some(opening) = self.opening.take() {
            self.work.opened = Some(Box::new((*opening, result)));
            self.work.wakes.add_all(&mut self.senders);
        }
    }

    fn output(&mut self, content: Piece) {
        let is_last = matches!(self.conversation.phase(), HttpPhase::Ended);
        match &mut self.slot {
            Slot::Discard if is_last => self.finish_request(),
            Slot::Discard => {}
            Slot::Output(_) => self.backlog.push(Output { content, is_last }),
            slot => *slot = Slot::Output(Output { content, is_last }),
        }
        self.work.wakes.add(&mut self.connection);
    }

    /// Records that a send broke a rule. The response is 500 if nothing has been sent, and is cut
    /// otherwise.
    fn broken(&mut self, was_replaceable: bool) {
        if was_replaceable {
            self.slot = Slot::Replacement(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if let HttpPhase::Broken(violation) = self.conversation.phase() {
            let error = violation.clone().into();
            self.opening_finished(Err(error));
        }
        self.finish_request();
        self.wake_all();
    }

    pub(super) fn disconnect(&mut self) {
        if self.conversation.is_replaceable() {
            self.slot = Slot::Disconnected;
        }
        self.conversation.disconnect();
        if self.opening.is_some() {
            self.opening_finished(Err(SendError::Disconnected));
        }
        self.finish_request();
        self.wake_all();
    }

    fn wake_all(&mut self) {
        self.work.wakes.add_all(&mut self.senders);
        self.work.wakes.add(&mut self.task);
        self.work.wakes.add(&mut self.connection);
    }

    /// Drops the rest of the request, so that the connection does not wait for the content, and
    /// wakes an application that receives.
    pub(super) fn finish_request(&mut self) {
        if let RequestBody::Incoming(body) =
            std::mem::replace(&mut self.request, RequestBody::Finished)
        {
            self.work.unread = Some(body);
        }
        self.work.wakes.add(&mut self.receiver);
    }

    /// Records that the application has received the last of the content.
    pub(super) fn content_delivered(&mut self) {
        if let RequestBody::Incoming(body) =
            std::mem::replace(&mut self.request, RequestBody::Delivered)
        {
            self.work.unread = Some(body);
        }
    }

    /// Records that the content cannot be read. The response is `status` unless it has started.
    /// Without a status, the client is gone.
    pub(super) fn content_failed(&mut self, status: Option<StatusCode>) {
        let is_replaceable = self.conversation.is_replaceable();
        self.disconnect();
        if let Some(status) = status
            && is_replaceable
        {
            self.slot = Slot::Replacement(status);
        }
    }

    /// Yields `http.shutdown` once when the server shuts down (rules `EXT-17`, `EXT-18`).
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        if let Some(shutdown) = &mut self.shutdown
            && !self.conversation.is_over()
            && shutdown.poll_set(cx).is_ready()
        {
            self.shutdown = None;
            return Poll::Ready(ReceiveEvent::HttpShutdown);
        }
        Poll::Pending
    }

    /// Records that the call has ended, and ends a response that the application left unfinished.
    pub(super) fn end(&mut self, result: &CallResult) -> EndReport {
        let is_replaceable = self.conversation.is_replaceable();
        let is_broken = matches!(self.conversation.phase(), HttpPhase::Broken(_));
        let is_complete = matches!(self.conversation.phase(), HttpPhase::Ended);
        let failure = result.failure(is_replaceable);
        let violation = self.conversation.returned().err();
        let status = match failure {
            None if violation.is_some() => Some(StatusCode::INTERNAL_SERVER_ERROR),
            failure => failure,
        };
        if let Some(status) = status
            && is_replaceable
        {
            self.slot = Slot::Replacement(status);
        }
        if self.opening.is_some() {
            self.opening_finished(Err(SendError::Disconnected));
        }
        if !is_complete {
            // A task that still holds the receiver gets the disconnect.
            self.finish_request();
        }
        self.work.wakes.add(&mut self.connection);
        self.work.wakes.add_all(&mut self.senders);
        EndReport {
            is_declinable: is_replaceable,
            violation: violation.filter(|_| failure.is_none() || is_broken),
        }
    }
}

/// Adds the length of content that is not sent (HEAD) to the head of a complete response.
fn add_length(head: &mut HttpResponseStart, content: &Piece) {
    let length = match content {
        Piece::Data(data) => data.len() as u64,
        Piece::File(file) => file.remaining(),
        Piece::Trailers(_) => return,
    };
    // A length of zero would state that the response to GET is empty, which is unknown (RFC 9110,
    // 8.6).
    if length > 0 && !head.headers.contains_key(CONTENT_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
}
