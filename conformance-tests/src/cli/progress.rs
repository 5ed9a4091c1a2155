//! How far a suite is, on a line of a terminal that is written again and again.

use std::io::{IsTerminal as _, Write as _, stderr};

use crate::Finding;

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[2K";

/// What fits into one line of any terminal, in characters: two could not be cleared.
const WIDTH: usize = 78;

#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    all: usize,
    done: usize,
    failed: usize,
}

impl Progress {
    /// For this many checks.
    pub(super) fn new(all: usize) -> Self {
        Self {
            is_shown: stderr().is_terminal(),
            all,
            done: 0,
            failed: 0,
        }
    }

    /// Says what is done before the first check.
    pub(super) fn begins(&self, with: &str) {
        self.show(with);
    }

    pub(super) fn found(&mut self, finding: &Finding) {
        self.done += 1;
        self.failed += usize::from(finding.verdict.is_failed());
        let (all, done, failed) = (self.all, self.done, self.failed);
        self.show(&format!(
            "{done} of {all} checks, {failed} failed: {}",
            finding.check.rule.id
        ));
    }

    fn show(&self, text: &str) {
        if self.is_shown {
            let text: String = text.chars().take(WIDTH).collect();
            // Without a terminal there is nobody to show it to.
            let _ = write!(stderr(), "{CLEAR}{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
