//! The settings of the process and of the application's life.

use std::num::NonZeroUsize;

use super::kind::{Choice, One, Parsed, Shape};
use super::setting::settings;

settings! {
    /// The process, and the life of the application in it.
    process: Process {
        /// The number of threads to serve with; `auto` for as many as there are cores.
        ///
        /// The command line uses this setting. A program with a runtime of its own has chosen its threads
        /// already.
        threads => threads: (Option<NonZeroUsize>) = "auto" as THREADS;

        /// Run the application's lifespan: on, off or auto, which lets the application decline.
        lifespan => lifespan: (LifespanMode) = "auto" as LIFESPAN;
    }
}

/// Whether the application's lifespan is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifespanMode {
    /// The lifespan is run; an application that declines it is served without (rule `LIFE-07`).
    #[default]
    Auto,
    /// The lifespan is run; an application that declines it is not served.
    On,
    /// The lifespan is not run.
    Off,
}

/// The most threads. A larger number is taken for a mistake.
pub(crate) const MAX_THREADS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

const THREADS: One<Option<NonZeroUsize>> = One {
    name: "NUMBER",
    shape: Shape::Number,
    parse: threads,
    show: |threads| threads.map_or_else(|| "auto".into(), |number| number.to_string()),
};

const LIFESPAN: Choice<LifespanMode> = Choice {
    name: "MODE",
    words: &[
        ("auto", LifespanMode::Auto),
        ("on", LifespanMode::On),
        ("off", LifespanMode::Off),
    ],
    remedy: "give auto, on or off",
};

fn threads(text: &str) -> Parsed<Option<NonZeroUsize>> {
    if text == "auto" {
        return Ok(None);
    }
    text.parse()
        .ok()
        .filter(|number| *number <= MAX_THREADS)
        .map(Some)
        .ok_or("give a number from 1 to 1024, or auto")
}
