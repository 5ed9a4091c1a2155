//! What a case works with: servers of its choice, and the transcript of what it did.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use callgate::Violation;
use callgate::rule::Rule;

use super::case::{Case, Outcome};
use super::launch::{Launch, NotLaunched, Settings};
use super::server::Server;
use crate::{Failure, Verdict};
use callgate::transcript::{Entry, Transcript};

/// How many times its patience with one thing a case may take as a whole. It is there for a server
/// that always has one thing more to say.
const CASE_PATIENCE: u32 = 10;

pub(super) struct Bench<'a> {
    launch: &'a dyn Launch,
    patience: Duration,
    log: Log,
    /// Servers that cases share, by their settings.
    servers: Vec<(Settings, Server)>,
    /// Whether the server runs lifespan, as far as that is known.
    pub(super) has_lifespan: bool,
}

impl<'a> Bench<'a> {
    pub(super) fn new(launch: &'a dyn Launch, patience: Duration) -> Self {
        Self {
            launch,
            patience,
            log: Log::default(),
            servers: Vec::new(),
            has_lifespan: true,
        }
    }

    /// Starts the server that cases share, and has it call the probe. That may take it as long as
    /// `patience`, and else is told in one line.
    pub(super) async fn try_server(&mut self, patience: Duration) -> Result<(), String> {
        let settings = Settings::default();
        let log = self.log.clone();
        let mut server = Server::launch(self.launch, &settings, log, patience)
            .await
            .map_err(|error| match error {
                NotLaunched::NotSupported(what) => what,
                NotLaunched::Failed(error) => error.to_string(),
            })?;
        let tried = match server.live().await {
            Ok(()) => server.was_not_called().await,
            Err(verdict) => Err(verdict),
        };
        match tried {
            Err(Verdict::Failed(failure)) => {
                let log = server.server_log();
                let last = log.lines().rev().find(|line| !line.trim().is_empty());
                let last = last.map(|line| format!("; its last words: {}", line.trim()));
                Err(failure.seen + &last.unwrap_or_default())
            }
            _ => {
                self.has_lifespan = server.has_lifespan();
                server.be_patient_for(self.patience);
                self.servers.push((settings, server));
                Ok(())
            }
        }
    }

    /// Does the steps of a case; also gives what the server broke meanwhile, by the model of the
    /// protocol. After a failure no server is used again that can be started anew: it may be in any
    /// state.
    pub(super) async fn run(&mut self, case: &Case) -> (Verdict, Vec<(&'static Rule, Failure)>) {
        self.log.take();
        let limit = self.patience * CASE_PATIENCE;
        let outcome = tokio::time::timeout(limit, (case.run)(self)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Verdict::failed(format!(
                "no end of it: {limit:?} were not enough"
            )))
        });
        for (_, server) in &mut self.servers {
            server.forget_calls();
        }
        let Seen { transcript, broken } = self.log.take();
        let (own, broken): (Vec<_>, _) = broken
            .into_iter()
            .partition(|(rule, _)| *rule == case.check.rule);
        let verdict = match (outcome, own.into_iter().next()) {
            (Err(Verdict::Failed(failure)), _) => {
                self.servers.retain(|(_, server)| server.is_foreign());
                failure.after(transcript).into()
            }
            (_, Some((_, failure))) => failure.into(),
            (Ok(()), None) => Verdict::Passed,
            (Err(other), None) => other,
        };
        (verdict, broken)
    }

    /// A running server at its defaults, which other cases use as well.
    pub(super) async fn server(&mut self) -> Outcome<&mut Server> {
        self.server_with(Settings::default()).await
    }

    /// A running server with these settings, which other cases use as well.
    pub(super) async fn server_with(&mut self, settings: Settings) -> Outcome<&mut Server> {
        let known = self.servers.iter().position(|(with, _)| *with == settings);
        let index = match known {
            Some(index) => index,
            None => {
                let mut server = self.start(&settings).await?;
                server.live().await?;
                self.servers.push((settings, server));
                self.servers.len() - 1
            }
        };
        Ok(&mut self.servers[index].1)
    }

    /// A server of this case's own, at the very beginning of its life: see [`Server::live`].
    pub(super) async fn launch(&mut self, settings: &Settings) -> Outcome<Server> {
        if self.launch.probe_address().is_some() {
            return Err(Verdict::NotApplicable(
                "a server that runs already is not started".into(),
            ));
        }
        self.start(settings).await
    }

    async fn start(&mut self, settings: &Settings) -> Outcome<Server> {
        if self.launch.probe_address().is_some() && *settings != Settings::default() {
            return Err(Verdict::NotApplicable(
                "a server that runs already cannot be set".into(),
            ));
        }
        let launched = Server::launch(self.launch, settings, self.log.clone(), self.patience).await;
        launched.map_err(|error| match error {
            NotLaunched::NotSupported(what) => Verdict::NotApplicable(what.into()),
            NotLaunched::Failed(error) => Verdict::failed(format!("it cannot be started: {error}")),
        })
    }

    /// Ends the servers that cases shared.
    pub(super) async fn finish(self) {
        for (_, server) in self.servers {
            server.end().await;
        }
    }
}

/// What is seen in the case that runs. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    transcript: Transcript,
    /// What the server has broken, by the model of the protocol.
    broken: Vec<(&'static Rule, Failure)>,
}

impl Log {
    pub(super) fn push(&self, entry: Entry) {
        self.seen().transcript.push(entry);
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.push(Entry::Note(note.into()));
    }

    /// The server has broken a rule with what was seen last.
    pub(super) fn blame(&self, violation: Violation) {
        let mut seen = self.seen();
        let failure = Failure::new(violation.detail).after(seen.transcript.clone());
        seen.broken.push((violation.rule, failure));
    }

    fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("never held across a panic")
    }
}
