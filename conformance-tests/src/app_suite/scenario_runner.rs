//! Runs each scenario once, and keeps the observations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use callgate::{BoxApp, State};

use super::options::AppOptions;
use super::scenario::Scenario;
use super::script_builder::{EventCounts, ScriptBuilder};
use crate::driver::{Abandoned, AppSandbox, ClientScript, Observation, Startup, TimeBudget};

/// Locked while a suite measures the memory of the process: one suite at a time may do so.
static MEASUREMENT: Mutex<()> = Mutex::new(());

/// The suite gives the application no new threads when it has blocked this many.
const MAX_BLOCKED_THREADS: usize = 2;

/// The suite starts no new process when the application has ended this many.
const MAX_ENDED_PROCESSES: usize = 5;

/// The most positions that are tried in an exchange whose call did not end.
const MAX_POSITIONS_OF_HANGING_CALLS: usize = 3;

/// The reason for which the runner does not run a scenario.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The start-up of the application failed, for this reason.
    StartupFailed(Arc<str>),
    /// The application has been abandoned, for this reason.
    Abandoned(&'static str),
}

/// Runs scenarios against one application. A scenario is run when its observations are first needed.
pub(crate) struct ScenarioRunner {
    make: Box<dyn Fn() -> BoxApp + Send + Sync>,
    pub(crate) options: AppOptions,
    time_budget: TimeBudget,
    started: Option<Result<StartedApp, Arc<str>>>,
    observations: HashMap<Scenario, Result<Arc<Vec<Observation>>, Refusal>>,
    blocked_threads: usize,
    ended_processes: usize,
    /// Whether the memory of the process grew beyond the limit in a call.
    has_exceeded_memory: bool,
}

/// An application between its start-up and its shutdown.
struct StartedApp {
    sandbox: AppSandbox,
    state: State,
}

impl ScenarioRunner {
    pub(crate) fn new(make: Box<dyn Fn() -> BoxApp + Send + Sync>, options: AppOptions) -> Self {
        Self {
            make,
            time_budget: TimeBudget::new(options.timeout),
            options,
            started: None,
            observations: HashMap::new(),
            blocked_threads: 0,
            ended_processes: 0,
            has_exceeded_memory: false,
        }
    }

    /// Returns what happened in this scenario, one observation for each of its exchanges.
    pub(crate) fn observations(
        &mut self,
        scenario: Scenario,
    ) -> Result<Arc<Vec<Observation>>, Refusal> {
        if let Some(observations) = self.observations.get(&scenario) {
            return observations.clone();
        }
        let observations = self.run_scenario(scenario).map(Arc::new);
        self.observations.insert(scenario, observations.clone());
        observations
    }

    fn run_scenario(&mut self, scenario: Scenario) -> Result<Vec<Observation>, Refusal> {
        let mut counts = EventCounts { all: 0, sent: 0 };
        let mut is_slow = false;
        if let Some((base, _)) = scenario.variation() {
            let base = &self.observations(base)?[0];
            counts.all = base.event_count;
            counts.sent = base.send_count;
            // A call that does not end by itself does not end in a varied exchange either.
            if base.is_hanging() {
                counts.all = counts.all.min(MAX_POSITIONS_OF_HANGING_CALLS);
                counts.sent = counts.sent.min(MAX_POSITIONS_OF_HANGING_CALLS);
            }
            is_slow = base.has_timed_out;
        }
        let _measurement = scenario
            .is_flood()
            .then(|| MEASUREMENT.lock().unwrap_or_else(PoisonError::into_inner));
        if scenario.is_lifespan() {
            let builder = ScriptBuilder {
                options: &self.options,
                state: &State::new(),
            };
            let scripts = builder.variations(scenario, counts);
            return scripts
                .into_iter()
                .map(|script| self.run_in_new_sandbox(script))
                .collect();
        }
        let scripts = self.build(|builder| builder.variations(scenario, counts))?;
        if is_slow {
            // Each exchange lasts until the timeout; concurrent ones last as long as one.
            return self.run_concurrently(scripts);
        }
        scripts.into_iter().map(|script| self.run(script)).collect()
    }

    /// Makes one call.
    pub(crate) fn run(&mut self, script: ClientScript) -> Result<Observation, Refusal> {
        let observation = self.started_app()?.sandbox.run(script);
        self.note_abandoned();
        Ok(observation)
    }

    /// Makes the call of this scenario again, or of the exchange that the scenario is based on.
    pub(crate) fn run_again(&mut self, scenario: Scenario) -> Result<Observation, Refusal> {
        if scenario.is_lifespan() {
            let builder = ScriptBuilder {
                options: &self.options,
                state: &State::new(),
            };
            let script = builder.script(scenario);
            return self.run_in_new_sandbox(script);
        }
        let script = self.build(|builder| builder.script(scenario))?;
        self.run(script)
    }

    /// Makes one call to an application that has not been called before.
    fn run_in_new_sandbox(&mut self, script: ClientScript) -> Result<Observation, Refusal> {
        self.refuse_abandoned()?;
        let mut sandbox = self.new_sandbox();
        let observation = sandbox.run(script);
        self.count_abandoned(sandbox.abandoned());
        Ok(observation)
    }

    /// Makes these calls at the same time.
    pub(crate) fn run_concurrently(
        &mut self,
        scripts: Vec<ClientScript>,
    ) -> Result<Vec<Observation>, Refusal> {
        let observations = self.started_app()?.sandbox.run_concurrently(scripts);
        self.note_abandoned();
        Ok(observations)
    }

    /// Makes one call while another is paused.
    pub(crate) fn run_beside(
        &mut self,
        paused: ClientScript,
        script: ClientScript,
    ) -> Result<Observation, Refusal> {
        let observation = self.started_app()?.sandbox.run_beside(paused, script);
        self.note_abandoned();
        Ok(observation)
    }

    /// Builds scripts with the state that start-up has returned.
    pub(crate) fn build<T>(
        &mut self,
        build: impl FnOnce(&ScriptBuilder<'_>) -> T,
    ) -> Result<T, Refusal> {
        let state = self.started_app()?.state.clone();
        Ok(build(&ScriptBuilder {
            options: &self.options,
            state: &state,
        }))
    }

    fn started_app(&mut self) -> Result<&mut StartedApp, Refusal> {
        self.refuse_abandoned()?;
        if self.started.is_none() {
            let mut sandbox = self.new_sandbox();
            self.started = Some(match sandbox.start_up() {
                Startup::Complete(state) => Ok(StartedApp { sandbox, state }),
                Startup::Failed(reason) => Err(format!("its start-up failed: {reason}").into()),
            });
        }
        match self.started.as_mut().expect("start-up has been tried") {
            Ok(app) => Ok(app),
            Err(reason) => Err(Refusal::StartupFailed(reason.clone())),
        }
    }

    /// Returns whether something has needed the start-up of the application.
    pub(crate) fn has_tried_startup(&self) -> bool {
        self.started.is_some()
    }

    /// Returns why the start-up of the application failed, if it was tried and failed.
    pub(crate) fn startup_failure(&self) -> Option<Arc<str>> {
        self.started.as_ref()?.as_ref().err().cloned()
    }

    fn new_sandbox(&self) -> AppSandbox {
        AppSandbox::new(&*self.make, self.time_budget.clone()).memory_limit(self.options.memory)
    }

    fn note_abandoned(&mut self) {
        if let Some(Ok(app)) = &self.started
            && let Some(reason) = app.sandbox.abandoned()
        {
            self.started = None;
            self.count_abandoned(Some(reason));
        }
    }

    fn count_abandoned(&mut self, abandoned: Option<Abandoned>) {
        match abandoned {
            Some(Abandoned::ThreadBlocked) => self.blocked_threads += 1,
            Some(Abandoned::ProcessEnded) => self.ended_processes += 1,
            Some(Abandoned::MemoryExceeded) => self.has_exceeded_memory = true,
            None => {}
        }
    }

    fn refuse_abandoned(&self) -> Result<(), Refusal> {
        if self.has_exceeded_memory {
            let reason = "the application takes more and more memory";
            return Err(Refusal::Abandoned(reason));
        }
        if self.blocked_threads >= MAX_BLOCKED_THREADS {
            let reason = "the application blocks the threads that it is called on";
            return Err(Refusal::Abandoned(reason));
        }
        if self.ended_processes >= MAX_ENDED_PROCESSES {
            return Err(Refusal::Abandoned("the application ends its process"));
        }
        Ok(())
    }
}
