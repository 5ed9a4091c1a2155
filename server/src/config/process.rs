//! The settings of the process and of the application's life.

use std::num::NonZeroUsize;

use super::kind::{One, Parsed, Shape};
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
    show: |threads| Some(threads.map_or_else(|| "auto".into(), |number| number.to_string())),
};

const LIFESPAN: One<LifespanMode> = One {
    name: "MODE",
    shape: Shape::Text,
    parse: lifespan,
    show: |mode| {
        let text = match mode {
            LifespanMode::Auto => "auto",
            LifespanMode::On => "on",
            LifespanMode::Off => "off",
        };
        Some(text.into())
    },
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

fn lifespan(text: &str) -> Parsed<LifespanMode> {
    match text {
        "auto" => Ok(LifespanMode::Auto),
        "on" => Ok(LifespanMode::On),
        "off" => Ok(LifespanMode::Off),
        _ => Err("give auto, on or off"),
    }
}
