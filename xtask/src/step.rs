//! A command of a task, whose name is printed, and which can be repeated from its error when it
//! fails.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{iter, thread};

/// How long the lines of a command that has ended may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(5);

/// A command that is run in the root of the repository, or in a directory of its own.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    program: String,
    args: Vec<String>,
    environment: Vec<(&'static str, String)>,
    directory: Option<PathBuf>,
}

impl Step {
    /// Creates a step from a command, which is split at blanks. An argument with blanks inside is added
    /// with [`arg`](Self::arg).
    pub(crate) fn new(name: impl Into<String>, command: &str) -> Self {
        let mut words = command.split_whitespace();
        let program = words.next().expect("a command");
        words.fold(Self::program(name, program), Self::arg)
    }

    /// Creates a step from a program without arguments, whose path may have blanks inside.
    pub(crate) fn program(name: impl Into<String>, program: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            environment: Vec::new(),
            directory: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Runs the command, and prints how long it took.
    ///
    /// # Errors
    ///
    /// Returns how to repeat the command when it failed.
    pub(crate) fn run(&self) -> Result<(), String> {
        println!("\n=== {}\n    {self}", self.name);
        let begun = Instant::now();
        let status = self
            .command()
            .status()
            .map_err(|reason| self.failed(&reason))?;
        if !status.success() {
            return Err(self.failed(&status));
        }
        println!("=== {}: done in {:.0?}", self.name, begun.elapsed());
        Ok(())
    }

    /// Runs the tests of a command, as [`run`](Self::run) does, and returns how many passed.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn run_tests(&self) -> Result<usize, String> {
        println!("\n=== {}\n    {self}", self.name);
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|reason| self.failed(&reason))?;
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, passed) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                // Nobody counts any more after the time below.
                let _ = tell.send(passed_tests(&line));
            }
        });
        let status = child.wait().map_err(|reason| self.failed(&reason))?;
        // A process that a test has left behind may hold the pipe.
        let counts = iter::from_fn(|| passed.recv_timeout(LAST_LINES).ok());
        let passed = counts.sum();
        match status.success() {
            true => Ok(passed),
            false => Err(self.failed(&status)),
        }
    }

    /// Runs the command, and returns its standard output.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn output(&self) -> Result<String, String> {
        self.output_with_status(&[0])
    }

    /// Runs the command, which succeeds with any of these statuses, and returns its standard output.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn output_with_status(&self, statuses: &[i32]) -> Result<String, String> {
        println!("\n=== {}\n    {self}", self.name);
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .map_err(|reason| self.failed(&reason))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let succeeded = output
            .status
            .code()
            .is_some_and(|code| statuses.contains(&code));
        if succeeded {
            Ok(stdout)
        } else {
            print!("{stdout}");
            Err(self.failed(&output.status))
        }
    }

    /// Runs the command without printing anything.
    ///
    /// # Errors
    ///
    /// The last line that the command wrote to standard error, if the command failed.
    pub(crate) fn succeeds_or_says_why(&self) -> Result<(), String> {
        let output = self
            .command()
            .output()
            .map_err(|reason| reason.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rfind(|line| !line.trim().is_empty());
        Err(last.map_or_else(|| output.status.to_string(), str::to_owned))
    }

    /// Runs the command without printing anything, and returns its standard output if it succeeded.
    pub(crate) fn silent_output(&self) -> Option<String> {
        let output = self.command().output().ok()?;
        let succeeded = output.status.success();
        succeeded.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the command without printing anything, and returns whether it succeeded.
    pub(crate) fn succeeds(&self) -> bool {
        self.silent_output().is_some()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .current_dir(self.directory.as_deref().unwrap_or(root()));
        command
    }

    fn failed(&self, reason: &impl std::fmt::Display) -> String {
        format!("{} failed ({reason}); to repeat it:\n  {self}", self.name)
    }
}

/// Writes the command as a user would type it in the root of the repository.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(directory) = &self.directory {
            write!(f, "cd {} && ", quoted(&directory.to_string_lossy()))?;
        }
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

/// Returns the number of tests that have passed by the summary of a test program; 0 for another line.
fn passed_tests(line: &str) -> usize {
    let of_cargo = line
        .strip_prefix("test result: ok. ")
        .and_then(|counts| counts.split(' ').next());
    // The last line of pytest: `2 passed, 1 skipped in 0.10s`.
    let of_pytest = line
        .split_once(" passed")
        .filter(|(_, rest)| rest.contains(" in "))
        .map(|(passed, _)| passed);
    of_cargo
        .or(of_pytest)
        .and_then(|passed| passed.parse().ok())
        .unwrap_or(0)
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+@,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Returns the directory where cargo builds: this program lies in its `debug`.
pub(crate) fn target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|reason| reason.to_string())?;
    let target = program.ancestors().nth(2).expect("built by cargo");
    Ok(target.to_owned())
}

/// Returns `path` relative to the root of the repository.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::passed_tests;

    #[test]
    fn the_tests_that_passed_are_counted_by_the_summaries() {
        let summary =
            "test result: ok. 421 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(passed_tests(summary), 421);
        assert_eq!(passed_tests("test result: FAILED. 4 passed; 1 failed"), 0);
        assert_eq!(passed_tests("running 421 tests"), 0);
    }
}
