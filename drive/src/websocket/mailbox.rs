//! The state that an application and its server share of one WebSocket.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    Channel, HttpResponseBody, Message, ReceiveEvent, SendError, SendEvent, SendProgress,
    WebSocketClose, WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;
use tokio::task::coop;

use super::denial::ResponseSlot;
use super::handshake::HandshakeResponse;
use super::queue::{Outbound, Queue};
use crate::call::{CallResult, EndReport, ServerEnd};
use crate::output::{Incomplete, Output, OutputSource};
use crate::sync::{Deferring, Mutex, WakeList, WakerSet, register};

/// The events that are on their way between an application and its server.
///
/// The application's end is the [`Channel`] of its receiver and sender. The server's end is first a
/// [`Handshake`](super::Handshake), and then carries the messages of the open WebSocket.
#[derive(Debug)]
pub struct Mailbox(Mutex<State>);

#[derive(Debug)]
struct State {
    conversation: WebSocketConversation,
    /// Whether `websocket.connect` has not been received.
    is_connecting: bool,
    response: ResponseSlot,
    /// Messages of the client that the application has not received.
    inbound: Queue<Message>,
    /// The end, which is received after the messages in `inbound`.
    disconnect: Option<WebSocketDisconnect>,
    /// Messages of the application that the server has not taken.
    outbound: Queue<Outbound>,
    /// Whether a close has been queued, after which nothing else is.
    is_closing: bool,
    /// The task of the application that waits for an event.
    receiver: Option<Waker>,
    /// The tasks of the application that wait to send.
    senders: WakerSet,
    /// The handshake or the session, which waits for output or for room.
    connection: Option<Waker>,
    /// The task that a detached call runs in, which waits for a disconnect.
    task: Option<Waker>,
    work: Work,
}

/// What is left to be done without the lock.
#[derive(Debug, Default)]
struct Work {
    wakes: WakeList,
    discarded: Vec<Discarded>,
}

/// Values of the application that will not reach the client.
#[derive(Debug)]
enum Discarded {
    Outbound { _queue: Queue<Outbound> },
    Response { _slot: ResponseSlot },
    Content { _part: HttpResponseBody },
}

impl Deferring for State {
    type Work = Work;

    #[inline]
    fn take_work(&mut self) -> Option<Work> {
        let is_empty = self.work.wakes.is_empty() && self.work.discarded.is_empty();
        (!is_empty).then(|| std::mem::take(&mut self.work))
    }

    fn run(work: Work) {
        drop(work.discarded);
        work.wakes.wake();
    }
}

/// How the client learns that the application has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureSignal {
    /// By the status of the response to the handshake.
    Status,
    /// By a close frame.
    Close,
    /// Not at all: the answer has begun, or the WebSocket has ended.
    Nothing,
}

impl Mailbox {
    /// Creates the mailbox of a WebSocket whose handshake is not answered.
    pub(super) fn new(scope: &WebSocketScope) -> Self {
        Self(Mutex::new(State {
            conversation: WebSocketConversation::new(scope),
            is_connecting: true,
            response: ResponseSlot::Empty,
            inbound: Queue::default(),
            disconnect: None,
            outbound: Queue::default(),
            is_closing: false,
            receiver: None,
            senders: WakerSet::default(),
            connection: None,
            task: None,
            work: Work::default(),
        }))
    }

    /// Sets the number of messages at which the queue of each direction is full.
    pub(super) fn set_queue_capacity(&self, messages: usize) {
        let mut state = self.0.lock();
        state.inbound.set_capacity(messages);
        state.outbound.set_capacity(messages);
    }

    /// Returns the response to the handshake, once the application has sent enough to know it.
    pub(super) fn poll_response(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<HandshakeResponse> {
        let mut state = self.0.lock();
        match state.response.take_response(self) {
            Some(response) => {
                state.wake_senders();
                Poll::Ready(response)
            }
            None => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Returns the next message or close to send on the open WebSocket.
    pub fn poll_outbound(&self, cx: &mut Context<'_>) -> Poll<Outbound> {
        let mut state = self.0.lock();
        match state.outbound.pop() {
            Some(outbound) => {
                state.wake_senders();
                Poll::Ready(outbound)
            }
            None => {
                register(&mut state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Ready while there is room for a message of the client. Otherwise the task is woken when the
    /// application has made room, or the WebSocket has ended.
    ///
    /// A server stops reading from the client while there is none (rule `WS-25`).
    pub fn poll_has_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.inbound.is_full() && state.disconnect.is_none() {
            register(&mut state.connection, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Returns the number of messages that the application has not received.
    #[cfg(feature = "websocket")]
    pub(super) fn inbound_len(&self) -> usize {
        self.0.lock().inbound.len()
    }

    /// Delivers a message of the client, whether or not there is room. The message is dropped once
    /// the WebSocket has ended: no event follows a disconnect.
    pub fn deliver(&self, message: Message) {
        let mut state = self.0.lock();
        if state.disconnect.is_none() {
            let bytes = message.len();
            state.inbound.push(message, bytes);
            state.wake_receiver();
        }
    }

    /// Refuses a handshake that the application has not answered, as the server shuts down (rule
    /// `WS-34`). A denial response that has begun goes on.
    pub(super) fn refuse_at_shutdown(&self) {
        let mut state = self.0.lock();
        if matches!(state.conversation.phase(), WebSocketPhase::Connecting) {
            state.disconnect(WebSocketDisconnect::new(1012));
            state.respond(HandshakeResponse::Refuse(StatusCode::SERVICE_UNAVAILABLE));
        }
    }

    /// Ends the WebSocket with this code and reason, unless it has ended already. The application is
    /// told after the messages that it has not received.
    pub fn disconnect_with(&self, disconnect: WebSocketDisconnect) {
        self.0.lock().disconnect(disconnect);
    }
}

impl State {
    fn wake_receiver(&mut self) {
        self.work.wakes.add(&mut self.receiver);
    }

    fn wake_senders(&mut self) {
        self.work.wakes.add_all(&mut self.senders);
    }

    fn wake_connection(&mut self) {
        self.work.wakes.add(&mut self.connection);
    }

    fn wake_task(&mut self) {
        self.work.wakes.add(&mut self.task);
    }

    fn set_response(&mut self, response: ResponseSlot) {
        let slot = std::mem::replace(&mut self.response, response);
        if !matches!(slot, ResponseSlot::Empty) {
            self.work
                .discarded
                .push(Discarded::Response { _slot: slot });
        }
    }

    fn disconnect(&mut self, disconnect: WebSocketDisconnect) {
        self.conversation.disconnect();
        self.disconnect.get_or_insert(disconnect);
        if !self.outbound.is_empty() {
            let queue = std::mem::take(&mut self.outbound);
            let discarded = Discarded::Outbound { _queue: queue };
            self.work.discarded.push(discarded);
        }
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }

    fn push_outbound(&mut self, outbound: Outbound) {
        let bytes = outbound.len();
        self.outbound.push(outbound, bytes);
        self.wake_connection();
    }

    /// Queues a close, the last frame of the application.
    fn close(&mut self, close: WebSocketClose) {
        let WebSocketClose { code, reason, .. } = &close;
        self.disconnect
            .get_or_insert_with(|| WebSocketDisconnect::new(*code).reason(reason.clone()));
        if !std::mem::replace(&mut self.is_closing, true) {
            self.push_outbound(Outbound::Close(close));
        }
        self.wake_receiver();
        self.wake_senders();
        self.wake_connection();
    }

    /// Answers the handshake.
    fn respond(&mut self, response: HandshakeResponse) {
        self.set_response(ResponseSlot::Response(response));
        self.wake_connection();
    }

    /// Takes an event that the conversation has allowed.
    fn accept(&mut self, event: SendEvent, was_open: bool) {
        match event {
            SendEvent::WebSocketAccept(accept) => self.respond(HandshakeResponse::Accept(accept)),
            SendEvent::WebSocketSend(message) => self.push_outbound(Outbound::Message(message)),
            SendEvent::WebSocketClose(close) if was_open => self.close(close),
            SendEvent::WebSocketClose(close) => {
                let disconnect = WebSocketDisconnect::new(close.code).reason(close.reason);
                self.disconnect = Some(disconnect);
                self.respond(HandshakeResponse::Refuse(StatusCode::FORBIDDEN));
            }
            SendEvent::DenialResponseStart(start) => {
                self.response = ResponseSlot::DenialHead(start);
            }
            SendEvent::DenialResponseBody(part) => {
                if !part.more_body {
                    self.disconnect = Some(WebSocketDisconnect::new(1006));
                    self.wake_receiver();
                }
                if self.response.is_discarding() {
                    let discarded = Discarded::Content { _part: part };
                    self.work.discarded.push(discarded);
                    return;
                }
                let response = std::mem::take(&mut self.response);
                self.response = response.with_content(part);
                self.wake_connection();
            }
            _ => {}
        }
    }

    /// Ends what a failed application has begun, with `status` if the handshake is not answered.
    fn fail(&mut self, status: StatusCode, signal: FailureSignal) {
        match signal {
            FailureSignal::Status => self.respond(HandshakeResponse::Refuse(status)),
            FailureSignal::Close => self.close(WebSocketClose::new(1011)),
            FailureSignal::Nothing => {}
        }
        let disconnect = WebSocketDisconnect::new(1011);
        self.disconnect.get_or_insert(disconnect);
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }

    /// Returns whether an event must wait until the server has taken those before it.
    fn is_full(&self) -> bool {
        match self.conversation.phase() {
            WebSocketPhase::Open => self.outbound.is_full(),
            WebSocketPhase::Denying(_) => self.response.is_full(),
            _ => false,
        }
    }

    fn failure_signal(&self) -> FailureSignal {
        match self.conversation.phase() {
            WebSocketPhase::Connecting => FailureSignal::Status,
            WebSocketPhase::Denying(response) if response.is_replaceable() => FailureSignal::Status,
            WebSocketPhase::Open => FailureSignal::Close,
            _ => FailureSignal::Nothing,
        }
    }

    fn is_denying(&self) -> bool {
        matches!(self.conversation.phase(), WebSocketPhase::Denying(_))
    }
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut state = self.0.lock();
        if std::mem::take(&mut state.is_connecting) {
            return Poll::Ready(ReceiveEvent::WebSocketConnect);
        }
        let was_full = state.inbound.is_full();
        if let Some(message) = state.inbound.pop() {
            if was_full && !state.inbound.is_full() {
                state.wake_connection();
            }
            return Poll::Ready(ReceiveEvent::WebSocketReceive(message));
        }
        if let Some(disconnect) = &state.disconnect {
            return Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect.clone()));
        }
        register(&mut state.receiver, cx.waker());
        Poll::Pending
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_full() {
            state.senders.register(cx.waker());
            return Poll::Pending;
        }
        if state.response.is_discarding() {
            // Discarding is always ready: the budget lets the other tasks of the thread run. The
            // runtime may call the waker here, so the lock is released.
            drop(state);
            ready!(coop::poll_proceed(cx)).made_progress();
        }
        Poll::Ready(())
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let mut state = self.0.lock();
        let signal = state.failure_signal();
        if let Err(error) = state.conversation.send(&event) {
            if error.rule().is_some() {
                state.fail(StatusCode::INTERNAL_SERVER_ERROR, signal);
            }
            return Err(error);
        }
        state.accept(event, signal == FailureSignal::Close);
        Ok(SendProgress::Sent)
    }
}

impl ServerEnd for Mailbox {
    fn disconnect(&self) {
        self.disconnect_with(WebSocketDisconnect::new(1006));
    }

    fn end(&self, result: &CallResult) -> EndReport {
        let mut state = self.0.lock();
        let signal = state.failure_signal();
        let is_declinable = signal == FailureSignal::Status;
        let failure = result.failure(is_declinable);
        let is_broken = matches!(state.conversation.phase(), WebSocketPhase::Broken(_));
        let violation = state.conversation.returned().err();
        let own_status = violation
            .is_some()
            .then_some(StatusCode::INTERNAL_SERVER_ERROR);
        match failure.or(own_status) {
            Some(status) => state.fail(status, signal),
            None if signal == FailureSignal::Close => state.close(WebSocketClose::new(1000)),
            None => {
                state.wake_receiver();
                state.wake_senders();
            }
        }
        EndReport {
            is_declinable,
            violation: violation.filter(|_| failure.is_none() || is_broken),
        }
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_discarding(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_denying() && state.response.is_discarding() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }
}

impl OutputSource for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut state = self.0.lock();
        if let Some(output) = state.response.take_content() {
            if !state.response.is_full() {
                state.wake_senders();
            }
            return Poll::Ready(Ok(output));
        }
        if !state.is_denying() {
            return Poll::Ready(Err(Incomplete));
        }
        register(&mut state.connection, cx.waker());
        Poll::Pending
    }

    fn content_complete(&self) {
        let mut state = self.0.lock();
        state.set_response(ResponseSlot::Discarding);
        state.wake_senders();
        state.wake_task();
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use callgate::{Feature, Features, HttpResponseStart, WebSocketAccept};

    use super::*;
    use crate::output::Piece;

    fn mailbox() -> Arc<Mailbox> {
        Arc::new(Mailbox::new(&WebSocketScope::new(http::Uri::default())))
    }

    /// A mailbox whose application has received `websocket.connect` and has accepted.
    fn open_mailbox() -> Arc<Mailbox> {
        let mailbox = mailbox();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        assert!(send(&mailbox, &mut cx, WebSocketAccept::new()).is_ready());
        assert!(mailbox.poll_response(&mut cx).is_ready());
        mailbox
    }

    fn send(
        mailbox: &Mailbox,
        cx: &mut Context<'_>,
        event: impl Into<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        mailbox
            .poll_ready(cx)
            .map(|()| mailbox.start_send(event.into()).map(drop))
    }

    #[test]
    fn nothing_is_received_after_the_disconnect() {
        let mailbox = mailbox();
        let mut cx = Context::from_waker(Waker::noop());
        let disconnect = WebSocketDisconnect::new(1000);
        let disconnect = Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect));
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        mailbox.0.lock().close(WebSocketClose::new(1000));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
        // The client sent this message before it had the close frame.
        mailbox.deliver(Message::Text("late".into()));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
    }

    #[test]
    fn content_of_senders_that_saw_the_same_room_is_kept() {
        let mut scope = WebSocketScope::new(http::Uri::default());
        scope.features = Features::from_iter([Feature::DenialResponse]);
        let mailbox = Arc::new(Mailbox::new(&scope));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(mailbox.poll_ready(&mut cx).is_ready());
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
        mailbox
            .start_send(SendEvent::DenialResponseStart(start))
            .unwrap();
        let send_part = |part| {
            mailbox
                .start_send(SendEvent::DenialResponseBody(part))
                .unwrap()
        };
        let take = |cx: &mut Context<'_>| match mailbox.poll_output(cx) {
            Poll::Ready(Ok(Output {
                content: Piece::Data(data),
                ..
            })) => data,
            other => panic!("{other:?}"),
        };
        send_part(HttpResponseBody::part("one"));
        send_part(HttpResponseBody::part("two"));
        let Poll::Ready(HandshakeResponse::Deny(_, _body)) = mailbox.poll_response(&mut cx) else {
            panic!("it is denied");
        };
        send_part(HttpResponseBody::last("three"));
        assert!(mailbox.poll_ready(&mut cx).is_ready());
        assert_eq!(take(&mut cx), "one");
        assert_eq!(take(&mut cx), "two");
        assert_eq!(take(&mut cx), "three");
    }

    /// A waker that uses the mailbox, and reports that it could.
    struct Reenters(Arc<Mailbox>, mpsc::Sender<()>);

    impl Wake for Reenters {
        fn wake(self: Arc<Self>) {
            let _ = self
                .0
                .poll_has_room(&mut Context::from_waker(Waker::noop()));
            // The test may have failed.
            let _ = self.1.send(());
        }
    }

    /// Registers such a waker with `wait`, and expects `act` to call it.
    fn wakes(
        name: &str,
        mailbox: Arc<Mailbox>,
        wait: impl FnOnce(&Arc<Mailbox>, &mut Context<'_>),
        act: impl FnOnce(&Mailbox) + Send + 'static,
    ) {
        let (woken, is_woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Reenters(mailbox.clone(), woken)));
        wait(&mailbox, &mut Context::from_waker(&waker));
        drop(waker);
        // On a thread of its own, which a deadlock does not keep the test from leaving.
        thread::spawn(move || act(&mailbox));
        assert_eq!(
            is_woken.recv_timeout(Duration::from_secs(10)),
            Ok(()),
            "{name}"
        );
    }

    #[test]
    fn wakers_are_called_when_the_lock_is_released() {
        let disconnect = || WebSocketDisconnect::new(1006);
        let message = || Message::text("x");
        fn waits_to_receive(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            assert!(mailbox.poll_receive(cx).is_pending());
        }
        fn waits_to_send(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            while send(mailbox, cx, Message::binary(vec![0; 1024])).is_ready() {}
        }
        fn waits_for_output(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            assert!(mailbox.poll_outbound(cx).is_pending());
        }
        fn waits_for_room(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            while mailbox.poll_has_room(cx).is_ready() {
                mailbox.deliver(Message::binary(vec![0; 1024]));
            }
        }
        fn waits_for_the_disconnect(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            assert!(mailbox.poll_disconnected(cx).is_pending());
        }
        fn waits_for_the_answer(mailbox: &Arc<Mailbox>, cx: &mut Context<'_>) {
            assert!(mailbox.poll_response(cx).is_pending());
        }
        fn cx_of_nobody<R>(f: impl FnOnce(&mut Context<'_>) -> R) -> R {
            f(&mut Context::from_waker(Waker::noop()))
        }
        wakes(
            "a message",
            open_mailbox(),
            waits_to_receive,
            move |mailbox| {
                mailbox.deliver(message());
            },
        );
        wakes(
            "the end",
            open_mailbox(),
            waits_to_receive,
            move |mailbox| {
                mailbox.disconnect_with(disconnect());
            },
        );
        wakes(
            "the end of the call",
            open_mailbox(),
            waits_to_receive,
            |mailbox| {
                mailbox.end(&CallResult::Returned(Ok(())));
            },
        );
        wakes("output taken", open_mailbox(), waits_to_send, |mailbox| {
            assert!(cx_of_nobody(|cx| mailbox.poll_outbound(cx)).is_ready());
        });
        wakes(
            "the end, sending",
            open_mailbox(),
            waits_to_send,
            move |mailbox| {
                mailbox.disconnect_with(disconnect());
            },
        );
        wakes("output", open_mailbox(), waits_for_output, move |mailbox| {
            assert!(cx_of_nobody(|cx| send(mailbox, cx, message())).is_ready());
        });
        wakes("a close", open_mailbox(), waits_for_output, |mailbox| {
            assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketClose::new(1000))).is_ready());
        });
        wakes(
            "a broken rule",
            open_mailbox(),
            waits_for_output,
            |mailbox| {
                assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketAccept::new())).is_ready());
            },
        );
        wakes("room", open_mailbox(), waits_for_room, |mailbox| {
            assert!(cx_of_nobody(|cx| mailbox.poll_receive(cx)).is_ready());
        });
        wakes(
            "the end, detached",
            open_mailbox(),
            waits_for_the_disconnect,
            move |mailbox| mailbox.disconnect_with(disconnect()),
        );
        wakes("the answer", mailbox(), waits_for_the_answer, |mailbox| {
            assert!(cx_of_nobody(|cx| send(mailbox, cx, WebSocketAccept::new())).is_ready());
        });
        wakes("a refusal", mailbox(), waits_for_the_answer, |mailbox| {
            mailbox.refuse_at_shutdown();
        });
    }

    /// A value of the application that uses the mailbox when it is dropped.
    struct UsesWhenDropped(Arc<Mailbox>, mpsc::Sender<()>);

    impl AsRef<[u8]> for UsesWhenDropped {
        fn as_ref(&self) -> &[u8] {
            b"content"
        }
    }

    impl Drop for UsesWhenDropped {
        fn drop(&mut self) {
            let _ = self
                .0
                .poll_has_room(&mut Context::from_waker(Waker::noop()));
            let _ = self.1.send(());
        }
    }

    #[test]
    fn messages_are_dropped_when_the_lock_is_released() {
        let mailbox = open_mailbox();
        let (dropped, is_dropped) = mpsc::channel();
        let content = bytes::Bytes::from_owner(UsesWhenDropped(mailbox.clone(), dropped));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(send(&mailbox, &mut cx, Message::Binary(content)).is_ready());
        thread::spawn(move || mailbox.disconnect_with(WebSocketDisconnect::new(1006)));
        assert_eq!(is_dropped.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}
