//! The progress of a suite, on a line of the terminal that is overwritten.

use std::io::{IsTerminal as _, Write as _, stderr};

use crate::report::Finding;

/// Moves the cursor to the start of the line and clears the line.
const CLEAR: &str = "\r\x1b[2K";

/// The most characters that are shown. They fit into one line of any terminal; two lines could not
/// be cleared.
const WIDTH: usize = 78;

#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    all: usize,
    done: usize,
    failed: usize,
}

impl Progress {
    /// Creates the progress of `all` checks.
    pub(super) fn new(all: usize) -> Self {
        Self {
            is_shown: stderr().is_terminal(),
            all,
            done: 0,
            failed: 0,
        }
    }

    /// Shows what happens before the first check.
    pub(super) fn show_status(&self, status: &str) {
        self.show(status);
    }

    pub(super) fn on_finding(&mut self, finding: &Finding) {
        self.on_check(finding.check.rule.id, finding.verdict.is_failed());
    }

    /// Counts a check, which is shown by this name.
    pub(super) fn on_check(&mut self, name: &str, is_failed: bool) {
        self.done += 1;
        self.failed += usize::from(is_failed);
        let (all, done, failed) = (self.all, self.done, self.failed);
        self.show(&format!("{done} of {all} checks, {failed} failed: {name}"));
    }

    fn show(&self, text: &str) {
        if self.is_shown {
            let text: String = text.chars().take(WIDTH).collect();
            // A terminal that has been closed shows nothing.
            let _ = write!(stderr(), "{CLEAR}{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
