//! The channel as the application uses it.

use std::task::{Context, Poll};

use callgate::{Channel, ReceiveEvent, SendError, SendEvent, WebSocketDisconnect, rule};

use super::{Kind, Link, is_disconnect, log};
use crate::model::Standing;

impl Channel for Link {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut inner = self.lock();
        if inner.breathes(cx) {
            return Poll::Pending;
        }
        let Some(event) = inner.next_event() else {
            if inner.receiver.is_none() {
                inner.activity += 1;
                if let Some(watcher) = inner.watcher.take() {
                    watcher.wake();
                }
            }
            inner.receiver = Some(cx.waker().clone());
            return Poll::Pending;
        };
        inner.receiver = None;
        inner.activity += 1;
        let broken = inner.model.received(&event);
        if let ReceiveEvent::Unknown(_) = event {
            // Of no interest to the order of events.
        } else if !is_disconnect(&event) {
            inner.interactions += 1;
        }
        inner.log.push(log::received(&event), broken);
        inner.gone_yet();
        if !inner.is_gone {
            inner.weigh(log::octets_of_received(&event));
        }
        Poll::Ready(event)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut inner = self.lock();
        if inner.breathes(cx) {
            return Poll::Pending;
        }
        let is_open = inner.model.standing() == Standing::Open;
        if is_open && (inner.is_stalled() || inner.is_frozen()) {
            if !inner
                .senders
                .iter()
                .any(|waker| waker.will_wake(cx.waker()))
            {
                inner.senders.push(cx.waker().clone());
                inner.activity += 1;
                if let Some(watcher) = inner.watcher.take() {
                    watcher.wake();
                }
                inner.weigh(0);
            }
            return Poll::Pending;
        }
        inner.activity += 1;
        let event = event.take().expect("an event to send");
        let result = inner.answer(&event);
        let broken = inner.model.sent(&event, &result);
        if result.is_ok() {
            inner.interactions += 1;
            inner.taken(&event);
        } else if broken.iter().any(|it| it.rule != rule::NOT_OFFERED)
            && inner.kind == Kind::WebSocket
        {
            inner.disconnect = ReceiveEvent::WebSocketDisconnect(WebSocketDisconnect::new(1011));
        }
        inner.log.push(log::sent(event, result.clone()), broken);
        inner.gone_yet();
        // Who waits to receive may have something to receive now.
        inner.wake();
        Poll::Ready(result)
    }
}
