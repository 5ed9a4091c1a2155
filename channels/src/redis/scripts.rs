//! The scripts that Redis runs: each does in one step what must not come apart.

use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::connection::Server;
use super::keys::Keys;
use crate::{Sequence, Settings};

/// The scripts, with their digests.
#[derive(Debug)]
pub(super) struct Scripts {
    publish: Script,
    open: Script,
    resume: Script,
    join: Script,
    leave: Script,
    members: Script,
    heartbeat: Script,
    bounds: Bounds,
}

/// What each script is told of the process that calls it, and of the Redis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    /// The greatest number that the process has seen.
    pub(super) floor: Sequence,
    pub(super) server: &'a Server,
}

/// The bounds that each script has among its last arguments.
#[derive(Debug)]
struct Bounds {
    events: usize,
    octets: usize,
    history_millis: u64,
    presence_millis: u64,
}

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(
            include_str!("scripts/prelude.lua"),
            include_str!(concat!("scripts/", $file, ".lua"))
        ))
    };
}

impl Scripts {
    pub(super) fn new(settings: &Settings) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            publish: script!("publish"),
            open: script!("open"),
            resume: script!("resume"),
            join: script!("join"),
            leave: script!("leave"),
            members: script!("members"),
            heartbeat: script!("heartbeat"),
            bounds: Bounds {
                events: settings.history_messages,
                octets: settings.history_octets,
                history_millis: millis(settings.history_time),
                presence_millis: millis(settings.presence_timeout),
            },
        }
    }

    pub(super) fn publish(
        &self,
        keys: &Keys,
        member: &str,
        body: (char, &[u8]),
        caller: Caller<'_>,
    ) -> ScriptInvocation<'_> {
        let mut call = self.publish.prepare_invoke();
        call.key(&keys.stream);
        if !member.is_empty() {
            call.key(&keys.members);
        }
        call.arg(body.0.to_string()).arg(body.1).arg(member);
        self.bounded(call, caller)
    }

    pub(super) fn open(&self, keys: &Keys, caller: Caller<'_>) -> ScriptInvocation<'_> {
        let mut call = self.open.prepare_invoke();
        call.key(&keys.stream);
        self.bounded(call, caller)
    }

    pub(super) fn resume(
        &self,
        keys: &Keys,
        after: Sequence,
        reached: Sequence,
        count: usize,
        caller: Caller<'_>,
    ) -> ScriptInvocation<'_> {
        let mut call = self.resume.prepare_invoke();
        call.key(&keys.stream);
        call.arg(after.get()).arg(reached.get()).arg(count);
        self.bounded(call, caller)
    }

    pub(super) fn join(
        &self,
        keys: &Keys,
        process: &str,
        id: &str,
        data: &[u8],
        caller: Caller<'_>,
    ) -> ScriptInvocation<'_> {
        let mut call = self.join.prepare_invoke();
        call.key(&keys.stream)
            .key(&keys.processes)
            .key(&keys.members);
        call.arg(process).arg(self.bounds.presence_millis);
        call.arg(id).arg(data);
        self.bounded(call, caller)
    }

    pub(super) fn leave(&self, keys: &Keys, id: &str, caller: Caller<'_>) -> ScriptInvocation<'_> {
        let mut call = self.leave.prepare_invoke();
        call.key(&keys.stream)
            .key(&keys.processes)
            .key(&keys.members);
        call.arg(id).arg(self.bounds.presence_millis);
        self.bounded(call, caller)
    }

    /// The members if `what` is `list`, their number if it is `count`.
    pub(super) fn members(
        &self,
        keys: &Keys,
        what: &str,
        caller: Caller<'_>,
    ) -> ScriptInvocation<'_> {
        let mut call = self.members.prepare_invoke();
        call.key(&keys.stream)
            .key(&keys.processes)
            .key(&keys.members);
        call.arg(what);
        self.bounded(call, caller)
    }

    pub(super) fn heartbeat(
        &self,
        keys: &Keys,
        is_inbox: bool,
        process: &str,
        caller: Caller<'_>,
    ) -> ScriptInvocation<'_> {
        let mut call = self.heartbeat.prepare_invoke();
        call.key(&keys.stream);
        if !is_inbox {
            call.key(&keys.processes).key(&keys.members);
        }
        call.arg(process).arg(self.bounds.presence_millis);
        self.bounded(call, caller)
    }

    fn bounded<'a>(
        &self,
        mut call: ScriptInvocation<'a>,
        caller: Caller<'_>,
    ) -> ScriptInvocation<'a> {
        call.arg(caller.floor.get());
        call.arg(self.bounds.events).arg(self.bounds.octets);
        call.arg(self.bounds.history_millis);
        call.arg(&caller.server.run);
        call.arg(match caller.server.is_sharded {
            true => "SPUBLISH",
            false => "PUBLISH",
        });
        call
    }
}
