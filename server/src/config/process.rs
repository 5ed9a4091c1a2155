//! The settings of the process and of the application's life.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::{Choice, Many, One, Parsed, Shape};
use super::setting::settings;
use super::values::{SECONDS_OR_NEVER, SWITCH, path};
use crate::error::ServeError;

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

        /// Replace the process after this many requests; `none` or 0 for never.
        ///
        /// The process starts a successor, passes its sockets on to it, and stops when the successor
        /// is ready to serve. A process that is the first of a container, and a server that is not run
        /// by the command line, stop without a successor.
        limit_max_requests => limit_max_requests: (Option<u64>) = "none" as REQUESTS;

        /// Add a random number up to this one to the limit on requests.
        ///
        /// Several processes that begin at the same moment then do not end at the same moment.
        limit_max_requests_jitter => limit_max_requests_jitter: (u64) = "0" as JITTER;

        /// Replace the process after this time, as after the limit on requests; `none` or 0 for never.
        limit_max_age => limit_max_age: (Option<Duration>) = "none" as SECONDS_OR_NEVER;

        /// The file that holds the number of the process that serves; removed at the end.
        pid => pid: (Option<PathBuf>) = "none" as PID_FILE;

        /// Serve in a second process, and replace it when the executable changes, for development.
        ///
        /// A new build is served when its start-up is complete. A build that fails to start leaves the
        /// process before it serving.
        reload => reload: (bool) = "false" as SWITCH;

        /// With `--reload`, replace the process also when a file in this folder changes; may be given
        /// repeatedly.
        reload_dir => reload_dir: [PathBuf] = "none" as FOLDERS;
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

impl Process {
    pub(super) fn check(&self) -> Result<(), ServeError> {
        let limits = [
            ("limit_max_requests", self.limit_max_requests.is_some()),
            ("limit_max_age", self.limit_max_age.is_some()),
        ];
        let conflict = |names, remedy| Err(ServeError::Conflict { names, remedy });
        if !self.reload && !self.reload_dir.is_empty() {
            return conflict(["reload_dir", "reload"], "give both, or none of them");
        }
        match limits.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) if self.reload => conflict([name, "reload"], "give one of them"),
            _ => Ok(()),
        }
    }
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

const REQUESTS: One<Option<u64>> = One {
    name: "NUMBER",
    shape: Shape::Number,
    parse: |text| match text {
        "none" => Ok(None),
        _ => match text.parse() {
            Ok(number) => Ok(Some(number).filter(|number| *number > 0)),
            Err(_) => Err("give a number of requests, or none"),
        },
    },
    show: |number| number.map_or_else(|| "none".into(), |number| number.to_string()),
};

const JITTER: One<u64> = One::number("NUMBER", |text| {
    text.parse().map_err(|_| "give a number of requests")
});

const PID_FILE: One<Option<PathBuf>> = path("FILE");

const FOLDERS: Many<PathBuf> = Many {
    name: "FOLDER",
    separator: ',',
    parse: |text| match text {
        "" => Err("give a folder"),
        _ => Ok(text.into()),
    },
    show: |path| path.display().to_string(),
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
