//! `cargo xtask test`: everything that must pass.

use crate::deny;
use crate::fuzz;
use crate::prepare::{self, CHROMIUM, CURL, CXX, POSTGRES, PYTHON, REDIS};
use crate::step::{Step, shown, target};

/// The programs that the checks need.
const TOOLS: [prepare::Tool; 6] = [CURL, PYTHON, CHROMIUM, CXX, POSTGRES, REDIS];

/// The number of tests that run at a time. Most tests wait for clients and time-outs, so more of them run than
/// there are cores.
const THREADS: &str = "4";

/// The number of inputs of each fuzz target.
const FUZZ_INPUTS: u64 = 50_000;

/// Runs every check, up to the first that fails.
///
/// # Errors
///
/// Returns how to repeat the check that failed.
pub(crate) fn run() -> Result<(), String> {
    prepare::refuse_without_root(&TOOLS)?;
    prepare::announce(&TOOLS);
    prepare::rust_components()?;
    prepare::tools(&TOOLS)?;
    let python = prepare::python()?;
    let python = python.to_string_lossy();

    Step::new("format", "cargo fmt --all --check").run()?;
    deny::offline()?;
    Step::new(
        "clippy",
        "cargo clippy --workspace --all-targets --all-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "the libraries without their command lines",
        "cargo clippy -p callgate-server -p callgate-conformance --no-default-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "the toolkit and the channel layer without features",
        "cargo clippy -p callgate-toolkit -p callgate-channels --no-default-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "the bridge without features",
        "cargo clippy -p callgate-tower --no-default-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "tests and doctests",
        "cargo xtask postgres cargo xtask redis cargo test --workspace --all-features --exclude callgate-conformance",
    )
    .env("CALLGATE_PYTHON", &*python)
    .env("RUST_TEST_THREADS", THREADS)
    .run()?;
    Step::new(
        "tests of the suite",
        "cargo test -p callgate-conformance --all-features",
    )
    .env("CALLGATE_PYTHON", &*python)
    .env("RUST_TEST_THREADS", THREADS)
    .run()?;
    Step::new(
        "tests of the protocol without features",
        "cargo test -p callgate --no-default-features",
    )
    .run()?;
    model_check()?;
    fuzz::targets(&fuzz::TARGETS, fuzz::Extent::Inputs(FUZZ_INPUTS))?;
    Step::new("the code blocks of the READMEs", "cargo xtask readme").run()?;
    Step::new(
        "documentation",
        "cargo doc --workspace --no-deps --all-features",
    )
    .env("RUSTDOCFLAGS", "-D warnings")
    .run()?;
    Step::new(
        "packages",
        "cargo package --workspace --exclude xtask --exclude callgate-benches --exclude callgate-soak --no-verify --allow-dirty",
    )
    .run()?;
    println!("\nEverything passed.");
    Ok(())
}

/// Runs the loom tests of the mailboxes, in every order of their steps.
fn model_check() -> Result<(), String> {
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
    step("model check").run()
}
