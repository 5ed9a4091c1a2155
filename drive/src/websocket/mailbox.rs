//! The state that an application and its server share of one WebSocket.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use callgate::conversation::{WebSocketConversation, WebSocketPhase};
use callgate::{
    Channel, Message, ReceiveEvent, SendError, SendEvent, Violation, WebSocketClose,
    WebSocketDisconnect, WebSocketScope,
};
use http::StatusCode;
use tokio::task::coop;

use super::denial::ResponseSlot;
use super::handshake::HandshakeResponse;
use super::queue::{Outbound, Queue};
use crate::call::ServerEnd;
use crate::response_body::{Incomplete, Output, Source};
use crate::sync::{Mutex, MutexGuard, WakeList, Wakers, register};

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
    senders: Wakers,
    /// The handshake or the session, which waits for output or for room.
    connection: Option<Waker>,
    /// The task that a detached call runs in, which waits for a disconnect.
    task: Option<Waker>,
}

/// The locked state, together with all that has to wait until the lock is released: the fields are
/// dropped in this order. Wakers, and values of the application, may run code that takes the lock.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    wakers: WakeList,
    dropped_outbound: Queue<Outbound>,
    dropped_response: ResponseSlot,
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
            senders: Wakers::default(),
            connection: None,
            task: None,
        }))
    }

    fn lock(&self) -> Locked<'_> {
        Locked {
            state: self.0.lock(),
            wakers: WakeList::default(),
            dropped_outbound: Queue::default(),
            dropped_response: ResponseSlot::Empty,
        }
    }

    /// Returns the response to the handshake, once the application has sent enough to know it.
    pub(super) fn poll_response(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<HandshakeResponse> {
        let mut locked = self.lock();
        match locked.state.response.take_response(self) {
            Some(response) => {
                locked.wake_senders();
                Poll::Ready(response)
            }
            None => {
                register(&mut locked.state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Returns the next message or close to send on the open WebSocket.
    pub fn poll_outbound(&self, cx: &mut Context<'_>) -> Poll<Outbound> {
        let mut locked = self.lock();
        match locked.state.outbound.pop() {
            Some(outbound) => {
                locked.wake_senders();
                Poll::Ready(outbound)
            }
            None => {
                register(&mut locked.state.connection, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Ready while there is room for a message of the client. Otherwise the task is woken when the
    /// application has made room.
    ///
    /// A server stops reading from the client while there is none (rule `WS-25`).
    pub fn poll_has_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut locked = self.lock();
        if locked.state.inbound.is_full() {
            register(&mut locked.state.connection, cx.waker());
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
        let mut locked = self.lock();
        if locked.state.disconnect.is_none() {
            let bytes = message.len();
            locked.state.inbound.push(message, bytes);
            locked.wake_receiver();
        }
    }

    /// Refuses a handshake that the application has not answered, as the server shuts down (rule
    /// `WS-34`). A denial response that has begun goes on.
    pub(super) fn refuse_at_shutdown(&self) {
        let mut locked = self.lock();
        if matches!(
            locked.state.conversation.phase(),
            WebSocketPhase::Connecting
        ) {
            locked.disconnect(WebSocketDisconnect::new(1012));
            locked.respond(HandshakeResponse::Refuse(StatusCode::SERVICE_UNAVAILABLE));
        }
    }

    /// Ends the WebSocket with this code and reason, unless it has ended already. The application is
    /// told after the messages that it has not received.
    pub fn disconnect_with(&self, disconnect: WebSocketDisconnect) {
        self.lock().disconnect(disconnect);
    }
}

impl Locked<'_> {
    fn wake_receiver(&mut self) {
        self.wakers.add(&mut self.state.receiver);
    }

    fn wake_senders(&mut self) {
        self.wakers.add_all(&mut self.state.senders);
    }

    fn wake_connection(&mut self) {
        self.wakers.add(&mut self.state.connection);
    }

    fn wake_task(&mut self) {
        self.wakers.add(&mut self.state.task);
    }

    fn disconnect(&mut self, disconnect: WebSocketDisconnect) {
        self.state.conversation.disconnect();
        self.state.disconnect.get_or_insert(disconnect);
        self.dropped_outbound = std::mem::take(&mut self.state.outbound);
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }

    fn push_outbound(&mut self, outbound: Outbound) {
        let bytes = outbound.len();
        self.state.outbound.push(outbound, bytes);
        self.wake_connection();
    }

    /// Queues a close, the last frame of the application.
    fn close(&mut self, close: WebSocketClose) {
        let WebSocketClose { code, reason, .. } = &close;
        self.state
            .disconnect
            .get_or_insert_with(|| WebSocketDisconnect::new(*code).reason(reason.clone()));
        if !std::mem::replace(&mut self.state.is_closing, true) {
            self.push_outbound(Outbound::Close(close));
        }
        self.wake_receiver();
        self.wake_senders();
        self.wake_connection();
    }

    /// Answers the handshake.
    fn respond(&mut self, response: HandshakeResponse) {
        let response = ResponseSlot::Response(response);
        self.dropped_response = std::mem::replace(&mut self.state.response, response);
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
                self.state.disconnect = Some(disconnect);
                self.respond(HandshakeResponse::Refuse(StatusCode::FORBIDDEN));
            }
            SendEvent::DenialResponseStart(start) => {
                self.state.response = ResponseSlot::DenialHead(start);
            }
            SendEvent::DenialResponseBody(part) => {
                if !part.more_body {
                    self.state.disconnect = Some(WebSocketDisconnect::new(1006));
                    self.wake_receiver();
                }
                let response = std::mem::take(&mut self.state.response);
                self.state.response = response.with_content(part);
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
        self.state.disconnect.get_or_insert(disconnect);
        self.wake_receiver();
        self.wake_senders();
        self.wake_task();
        self.wake_connection();
    }
}

impl State {
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
        let mut locked = self.lock();
        if std::mem::take(&mut locked.state.is_connecting) {
            return Poll::Ready(ReceiveEvent::WebSocketConnect);
        }
        let was_full = locked.state.inbound.is_full();
        if let Some(message) = locked.state.inbound.pop() {
            if was_full && !locked.state.inbound.is_full() {
                locked.wake_connection();
            }
            return Poll::Ready(ReceiveEvent::WebSocketReceive(message));
        }
        if let Some(disconnect) = &locked.state.disconnect {
            return Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect.clone()));
        }
        register(&mut locked.state.receiver, cx.waker());
        Poll::Pending
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut locked = self.lock();
        if locked.state.is_full() {
            locked.state.senders.register(cx.waker());
            return Poll::Pending;
        }
        if locked.state.response.is_discarding() {
            // Nothing else makes the application wait, and its thread has other tasks to run. The
            // runtime may call the waker here, so the lock is released.
            drop(locked);
            ready!(coop::poll_proceed(cx)).made_progress();
            locked = self.lock();
        }
        let signal = locked.state.failure_signal();
        let sent = event.as_ref().expect("an event to send");
        if let Err(error) = locked.state.conversation.send(sent) {
            if error.rule().is_some() {
                locked.fail(StatusCode::INTERNAL_SERVER_ERROR, signal);
            }
            return Poll::Ready(Err(error));
        }
        if let Some(event) = event.take() {
            locked.accept(event, signal == FailureSignal::Close);
        }
        Poll::Ready(Ok(()))
    }
}

impl ServerEnd for Mailbox {
    fn disconnect(&self) {
        self.disconnect_with(WebSocketDisconnect::new(1006));
    }

    fn is_declinable(&self) -> bool {
        self.0.lock().failure_signal() == FailureSignal::Status
    }

    fn end(&self, failure: Option<StatusCode>) -> Option<Violation> {
        let mut locked = self.lock();
        let signal = locked.state.failure_signal();
        let is_broken = matches!(locked.state.conversation.phase(), WebSocketPhase::Broken(_));
        let violation = locked.state.conversation.returned().err();
        let own_status = violation
            .is_some()
            .then_some(StatusCode::INTERNAL_SERVER_ERROR);
        match failure.or(own_status) {
            Some(status) => locked.fail(status, signal),
            None if signal == FailureSignal::Close => locked.close(WebSocketClose::new(1000)),
            None => {
                locked.wake_receiver();
                locked.wake_senders();
            }
        }
        violation.filter(|_| failure.is_none() || is_broken)
    }

    fn poll_disconnected(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.conversation.is_broken_off() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }

    fn poll_unheard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.is_denying() && state.response.is_discarding() {
            return Poll::Ready(());
        }
        register(&mut state.task, cx.waker());
        Poll::Pending
    }
}

impl Source for Mailbox {
    fn poll_output(&self, cx: &mut Context<'_>) -> Poll<Result<Output, Incomplete>> {
        let mut locked = self.lock();
        if let Some(output) = locked.state.response.take_content() {
            locked.wake_senders();
            return Poll::Ready(Ok(output));
        }
        if !locked.state.is_denying() {
            return Poll::Ready(Err(Incomplete));
        }
        register(&mut locked.state.connection, cx.waker());
        Poll::Pending
    }

    fn taken(&self) {
        let mut locked = self.lock();
        let discarding = ResponseSlot::Discarding;
        locked.dropped_response = std::mem::replace(&mut locked.state.response, discarding);
        locked.wake_senders();
        locked.wake_task();
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use callgate::{WebSocketAccept, WebSocketScope};

    use super::*;

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
        mailbox.poll_send(cx, &mut Some(event.into()))
    }

    #[test]
    fn nothing_is_received_after_the_disconnect() {
        let mailbox = mailbox();
        let mut cx = Context::from_waker(Waker::noop());
        let disconnect = WebSocketDisconnect::new(1000);
        let disconnect = Poll::Ready(ReceiveEvent::WebSocketDisconnect(disconnect));
        assert!(mailbox.poll_receive(&mut cx).is_ready());
        mailbox.lock().close(WebSocketClose::new(1000));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
        // The client sent this message before it had the close frame.
        mailbox.deliver(Message::Text("late".into()));
        assert_eq!(mailbox.poll_receive(&mut cx), disconnect);
    }

    /// A waker that uses the mailbox, and reports that it could.
    struct Reenters(Arc<Mailbox>, mpsc::Sender<()>);

    impl Wake for Reenters {
        fn wake(self: Arc<Self>) {
            self.0.is_declinable();
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
                mailbox.end(None);
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
            self.0.is_declinable();
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
