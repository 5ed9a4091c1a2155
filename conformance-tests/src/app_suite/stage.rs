//! Plays each exchange once, and remembers what happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use callgate::{BoxApp, State};

use super::AppOptions;
use super::play::{Maker, Play};
use crate::driver::{Abandoned, House, Patience, Plan, Played, StartUp};

/// Memory is that of the process: one suite at a time may measure it.
static MEASURING: Mutex<()> = Mutex::new(());

/// Threads that an application may keep before the suite stops giving it new ones.
const THREADS: usize = 2;

/// Positions that are tried in an exchange that had to be dropped.
const FEW: usize = 3;

/// Why an exchange was not played.
pub(crate) type Reason = Arc<str>;

pub(crate) struct Stage {
    make: Box<dyn Fn() -> BoxApp + Send + Sync>,
    pub(crate) options: AppOptions,
    patience: Patience,
    house: Option<Result<Home, Reason>>,
    played: HashMap<Play, Result<Arc<Vec<Played>>, Reason>>,
    blocked_threads: usize,
    /// Whether the application has been seen to take all the memory that there is.
    hoards: bool,
}

/// Where the application lives between its start-up and its shutdown.
struct Home {
    house: House,
    state: State,
}

impl Stage {
    pub(crate) fn new(make: Box<dyn Fn() -> BoxApp + Send + Sync>, options: AppOptions) -> Self {
        Self {
            make,
            patience: Patience::new(options.patience),
            options,
            house: None,
            played: HashMap::new(),
            blocked_threads: 0,
            hoards: false,
        }
    }

    /// What happened in this exchange, which is played if it has not been.
    pub(crate) fn played(&mut self, play: Play) -> Result<Arc<Vec<Played>>, Reason> {
        if let Some(played) = self.played.get(&play) {
            return played.clone();
        }
        let played = self.play_all(play).map(Arc::new);
        self.played.insert(play, played.clone());
        played
    }

    fn play_all(&mut self, play: Play) -> Result<Vec<Played>, Reason> {
        let (length, is_slow) = match play.varies() {
            Some(base) => {
                let base = &self.played(base)?[0];
                // One that does not end by itself does so no more when it is disturbed.
                let most = if base.is_dropped() { FEW } else { usize::MAX };
                let length = (base.interactions.min(most), base.sends.min(most));
                (length, base.is_slow)
            }
            None => ((0, 0), false),
        };
        let _alone = play
            .is_flood()
            .then(|| MEASURING.lock().unwrap_or_else(PoisonError::into_inner));
        let state = if play.is_lifespan() {
            State::new()
        } else {
            self.home()?.state.clone()
        };
        let plans = play.plans(&self.options, &state, length);
        if is_slow && !play.is_lifespan() {
            // Each takes its time; together they take it once.
            return self.play_together(plans);
        }
        let mut played = Vec::new();
        for plan in plans {
            played.push(if play.is_lifespan() {
                self.play_anew(plan)?
            } else {
                self.play(plan)?
            });
        }
        Ok(played)
    }

    /// Makes one call.
    pub(crate) fn play(&mut self, plan: Plan) -> Result<Played, Reason> {
        let played = self.home()?.house.play(plan);
        self.leave_if_abandoned();
        Ok(played)
    }

    /// Plays an exchange that stands for itself, whether or not it has been played.
    pub(crate) fn play_once_more(&mut self, play: Play) -> Result<Played, Reason> {
        if play.is_lifespan() {
            let options = self.options.clone();
            let state = &State::new();
            let options = &options;
            return self.play_anew(Maker { options, state }.plan(play));
        }
        let plan = self.plan(|make| make.plan(play))?;
        self.play(plan)
    }

    /// Makes one call to an application that has not been called before.
    fn play_anew(&mut self, plan: Plan) -> Result<Played, Reason> {
        self.give_up()?;
        let mut house = self.build();
        let played = house.play(plan);
        self.note(house.abandoned());
        Ok(played)
    }

    /// Makes these calls at the same time.
    pub(crate) fn play_together(&mut self, plans: Vec<Plan>) -> Result<Vec<Played>, Reason> {
        let played = self.home()?.house.play_together(plans);
        self.leave_if_abandoned();
        Ok(played)
    }

    /// Makes one call beside another that stands still.
    pub(crate) fn play_beside(&mut self, frozen: Plan, plan: Plan) -> Result<Played, Reason> {
        let played = self.home()?.house.play_beside(frozen, plan);
        self.leave_if_abandoned();
        Ok(played)
    }

    /// A plan that `make` makes, with the state that start-up handed over.
    pub(crate) fn plan(&mut self, make: impl FnOnce(&Maker<'_>) -> Plan) -> Result<Plan, Reason> {
        let state = self.home()?.state.clone();
        Ok(make(&Maker {
            options: &self.options,
            state: &state,
        }))
    }

    fn home(&mut self) -> Result<&mut Home, Reason> {
        self.give_up()?;
        if self.house.is_none() {
            let mut house = self.build();
            let home = match house.start_up() {
                StartUp::Complete(state) => Ok(Home { house, state }),
                StartUp::Failed(reason) => Err(format!("its start-up failed: {reason}").into()),
            };
            self.house = Some(home);
        }
        match self.house.as_mut().expect("there is one now") {
            Ok(home) => Ok(home),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// Why the application was asked for nothing but lifespans: its start-up failed.
    pub(crate) fn not_started(&self) -> Option<Reason> {
        self.house.as_ref()?.as_ref().err().cloned()
    }

    fn build(&self) -> House {
        House::new(&*self.make, self.patience.clone()).holding(self.options.memory)
    }

    fn leave_if_abandoned(&mut self) {
        if let Some(Ok(home)) = &self.house
            && let Some(why) = home.house.abandoned()
        {
            self.house = None;
            self.note(Some(why));
        }
    }

    fn note(&mut self, abandoned: Option<Abandoned>) {
        match abandoned {
            Some(Abandoned::Blocks) => self.blocked_threads += 1,
            Some(Abandoned::Hoards) => self.hoards = true,
            None => {}
        }
    }

    fn give_up(&self) -> Result<(), Reason> {
        if self.hoards {
            return Err("the application takes more and more memory".into());
        }
        if self.blocked_threads < THREADS {
            return Ok(());
        }
        Err("the application has not given back the threads it was called on".into())
    }
}
