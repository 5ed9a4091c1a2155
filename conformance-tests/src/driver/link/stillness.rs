//! What to do about an application that does nothing.

use callgate::{Violation, rule};

use super::{Inner, Kind, Link};
use crate::driver::Waiting;
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
        let next = inner.script.peek().map(|cue| cue.after_sends);
        let has_more = next.is_some();
        if next.is_some_and(|after| after > sends) && !inner.is_prompted {
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
    fn doing(&self) -> &'static str {
        match (&self.receiver, self.senders.is_empty()) {
            (_, false) => " (waiting to send)",
            (Some(_), true) => " (waiting to receive)",
            (None, true) => "",
        }
    }
}
