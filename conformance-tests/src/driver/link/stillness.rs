//! What to do about an application that does nothing.

use callgate::{Violation, rule};

use super::{Inner, Kind, Link, is_disconnect};
use crate::driver::{Cue, Waiting};
use crate::model::Standing;

/// What to do next about an application that does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Next {
    /// Something has been changed: see what it does.
    Again,
    /// Nothing can be done but wait.
    Wait,
    /// There is nothing to wait for.
    GiveUp,
}

impl Link {
    /// Nothing moves: everything that can run has run.
    pub(in crate::driver) fn calm(&self) -> Next {
        let mut inner = self.lock();
        let is_over = inner.model.standing() != Standing::Open;
        if inner.is_gone || is_over || inner.is_frozen() {
            return Next::Wait;
        }
        if inner.is_stalled() && !inner.senders.is_empty() {
            inner.leave();
            return Next::Again;
        }
        if inner.receiver.is_none() {
            return Next::Wait;
        }
        let sends = inner.sends;
        let has_more = inner.script.peek().is_some();
        // Nobody waits for the client to leave: one that listens may be about to send.
        let is_due = |cue: &Cue| cue.after_sends > sends && !is_disconnect(&cue.event);
        if inner.script.peek().is_some_and(is_due) && !inner.is_prompted {
            inner.is_prompted = true;
            inner.wake();
            return Next::Again;
        }
        match inner.kind {
            // It waits for more, and there is no more.
            Kind::WebSocket if !has_more && inner.model.is_open() => {}
            Kind::Http if !has_more && !inner.model.is_request_whole() => {}
            _ => return Next::Wait,
        }
        inner.leave();
        Next::Again
    }

    /// What the application is waited for to do.
    pub(in crate::driver) fn waiting(&self) -> Waiting {
        let inner = self.lock();
        match (inner.kind, inner.model.standing()) {
            (_, Standing::Ended) => Waiting::Background,
            (Kind::Http | Kind::WebSocket, Standing::Open) if !inner.is_gone => Waiting::Answer,
            _ => Waiting::Duty,
        }
    }

    /// Nothing has moved for too long.
    pub(in crate::driver) fn impatient(&self) -> Next {
        let mut inner = self.lock();
        let standing = inner.model.standing();
        if inner.is_frozen() {
            return Next::Wait;
        }
        let (rule, detail) = match inner.kind {
            _ if standing == Standing::Ended => return Next::GiveUp,
            Kind::Unknown => (
                rule::DECLINE_UNSUPPORTED,
                "an unknown kind of scope was not declined".to_owned(),
            ),
            // What it has broken is told, and nothing more is expected.
            Kind::Lifespan if standing == Standing::Broken => return Next::GiveUp,
            Kind::Lifespan if !inner.model.is_answered() => (
                rule::STARTUP_IS_ANSWERED,
                "start-up was not answered".to_owned(),
            ),
            Kind::Lifespan if inner.holds_shutdown => return Next::Wait,
            Kind::Lifespan => (
                rule::SHUTDOWN_IS_ANSWERED,
                "shutdown was not answered".to_owned(),
            ),
            Kind::Http | Kind::WebSocket if !inner.is_gone && standing == Standing::Open => {
                if inner.nears_disconnect() {
                    return Next::Wait;
                }
                inner.is_slow = true;
                inner.leave();
                return Next::Again;
            }
            Kind::Http | Kind::WebSocket => (
                rule::END_AFTER_DISCONNECT,
                format!(
                    "the application was still running when the client had been gone for long{}",
                    inner.doing()
                ),
            ),
        };
        inner.log.judge(vec![Violation::new(rule, detail)]);
        Next::GiveUp
    }
}

impl Inner {
    /// Whether the application has sent more since this was asked last, and the client is to leave
    /// when it has sent more still.
    fn nears_disconnect(&mut self) -> bool {
        let sends = self.sends;
        let before = std::mem::replace(&mut self.sends_before, sends);
        let leaves_later = |cue: &Cue| is_disconnect(&cue.event) && cue.after_sends > sends;
        sends > before && self.script.peek().is_some_and(leaves_later)
    }

    fn doing(&self) -> &'static str {
        match (&self.receiver, self.senders.is_empty()) {
            (_, false) => " (waiting to send)",
            (Some(_), true) => " (waiting to receive)",
            (None, true) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use callgate::{HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Sender};

    use super::*;
    use crate::driver::Plan;

    #[test]
    fn an_answer_that_goes_on_is_waited_for_up_to_where_the_client_left() {
        let scope = HttpScope::new(http::Method::GET, "/".parse().unwrap());
        let disconnect = Cue {
            event: ReceiveEvent::HttpDisconnect,
            after_sends: 3,
        };
        let (link, _) = Link::new(Plan::new(scope, [disconnect]));
        let sender = Sender::new(link.clone());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            pin!(sender.send(HttpResponseStart::ok()))
                .poll(&mut cx)
                .is_ready()
        );
        assert_eq!(link.impatient(), Next::Wait);
        let part = HttpResponseBody::part("tick");
        assert!(pin!(sender.send(part)).poll(&mut cx).is_ready());
        assert_eq!(link.impatient(), Next::Wait);
        // There was nothing since.
        assert_eq!(link.impatient(), Next::Again);
    }
}
