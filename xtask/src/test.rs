//! `cargo xtask test`: everything that must pass.

use std::time::{Duration, Instant};

use crate::deny;
use crate::docs;
use crate::fuzz;
use crate::prepare::{self, CHROMIUM, CURL, CXX, POSTGRES, PYTHON, PYTHON_LIBRARY, REDIS};
use crate::step::{Step, shown, target};
use crate::wheel;

/// The programs that the checks need.
const TOOLS: [prepare::Tool; 7] = [CURL, PYTHON, PYTHON_LIBRARY, CHROMIUM, CXX, POSTGRES, REDIS];

/// The number of tests that run at a time. Most tests wait for clients and time-outs, so more of them run than
/// there are cores.
const THREADS: &str = "4";

/// The number of inputs of each fuzz target.
const FUZZ_INPUTS: u64 = 50_000;

/// A part of what must pass. It returns the number of tests that it ran.
struct Check {
    name: &'static str,
    run: fn(&Python) -> Result<usize, String>,
}

/// The Python that the tests use.
struct Python(String);

const CHECKS: [Check; 15] = [
    Check {
        name: "format",
        run: |_| command("cargo fmt --all --check"),
    },
    Check {
        name: "dependencies",
        run: |_| deny::offline().map(|()| 0),
    },
    Check {
        name: "clippy",
        run: |_| command("cargo clippy --workspace --all-targets --all-features -- -D warnings"),
    },
    Check {
        name: "clippy of the libraries without their command lines",
        run: |_| {
            command(
                "cargo clippy -p callgate-server -p callgate-conformance --no-default-features -- -D warnings",
            )
        },
    },
    Check {
        name: "clippy of the toolkit and the channel layer without features",
        run: |_| {
            command(
                "cargo clippy -p callgate-toolkit -p callgate-channels --no-default-features -- -D warnings",
            )
        },
    },
    Check {
        name: "clippy of the bridges and the inspector without features",
        run: |_| {
            command(
                "cargo clippy -p callgate-tower -p callgate-python -p callgate-inspector --no-default-features -- -D warnings",
            )
        },
    },
    Check {
        name: "clippy of the examples without features",
        run: |_| command("cargo clippy -p callgate-apps --all-targets -- -D warnings"),
    },
    Check {
        name: "tests and doctests",
        run: |python| {
            tests_with(
                python,
                "cargo xtask postgres cargo xtask redis cargo test --workspace --all-features",
            )
        },
    },
    Check {
        name: "tests of the protocol without features",
        run: |_| step("cargo test -p callgate --no-default-features").run_tests(),
    },
    Check {
        name: "tests of the examples' command line without features",
        run: |_| step("cargo test -p callgate-apps --test command_line").run_tests(),
    },
    Check {
        name: "the wheel, and its tests in Python",
        run: |_| wheel::test(&[]),
    },
    Check {
        name: "model check",
        run: |_| model_check(),
    },
    Check {
        name: "fuzz targets",
        run: |_| fuzz::targets(&fuzz::TARGETS, fuzz::Extent::Inputs(FUZZ_INPUTS)).map(|()| 0),
    },
    Check {
        name: "the code blocks of the READMEs",
        run: |_| command("cargo xtask readme"),
    },
    Check {
        name: "the site of the documents, its links, and packages",
        run: |_| {
            docs::run()?;
            command(
                "cargo package --workspace --exclude xtask --exclude callgate-benches --exclude \
                 callgate-docs --exclude callgate-python-example --exclude callgate-soak --no-verify --allow-dirty",
            )
        },
    },
];

/// Runs every check, up to the first that fails, and prints how long each took.
///
/// # Errors
///
/// Returns how to repeat the check that failed.
pub(crate) fn run() -> Result<(), String> {
    prepare::refuse_without_root(&TOOLS)?;
    prepare::announce(&TOOLS);
    prepare::rust_components()?;
    prepare::tools(&TOOLS)?;
    let python = Python(prepare::python()?.to_string_lossy().into_owned());

    let mut done = Vec::new();
    for (index, check) in CHECKS.iter().enumerate() {
        println!("\n##### {} of {}: {}", index + 1, CHECKS.len(), check.name);
        let begun = Instant::now();
        let tests = (check.run)(&python)?;
        done.push((check.name, begun.elapsed(), tests));
    }
    println!("\nEverything passed:");
    for (name, time, tests) in &done {
        let tests = match tests {
            0 => String::new(),
            _ => format!(", {tests} tests"),
        };
        println!("  {:>5.0} s  {name}{tests}", time.as_secs_f64());
    }
    let time: Duration = done.iter().map(|(_, time, _)| *time).sum();
    let tests: usize = done.iter().map(|(_, _, tests)| *tests).sum();
    println!("  {:>5.0} s  in all, {tests} tests", time.as_secs_f64());
    Ok(())
}

/// Returns the step of a command that is its own name.
fn step(command: &str) -> Step {
    let mut words = command.split(' ');
    let name: Vec<_> = words.by_ref().take(3).collect();
    Step::new(name.join(" "), command)
}

/// Runs a command that has no tests.
fn command(command: &str) -> Result<usize, String> {
    step(command).run().map(|()| 0)
}

/// Runs the tests of a command, and returns their number.
fn tests_with(Python(python): &Python, command: &str) -> Result<usize, String> {
    step(command)
        .env("CALLGATE_PYTHON", python)
        .env("RUST_TEST_THREADS", THREADS)
        .run_tests()
}

/// Runs the loom tests of the mailboxes, in every order of their steps, and returns their number.
fn model_check() -> Result<usize, String> {
    // With the same directory, the different flags would make cargo build everything anew, twice.
    let directory = shown(&target()?.join("loom"));
    let command = "cargo test -p callgate-drive --lib --release --target-dir";
    let step = |name| {
        Step::new(name, command)
            .arg(&directory)
            .arg("loom_")
            .env("RUSTFLAGS", "--cfg callgate_loom -D warnings")
    };
    let list = step("models").arg("--").arg("--list").output()?;
    let models = list.lines().filter(|line| line.ends_with(": test")).count();
    if models == 0 {
        return Err("there are no models: no test's name has `loom_` in it".into());
    }
    println!("{models} models");
    step("model check").run_tests()
}
