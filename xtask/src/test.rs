//! `cargo xtask test`: everything that must pass.

use crate::prepare::{self, CHROMIUM, CURL, PYTHON};
use crate::step::{Step, shown, target};

/// Runs every check, up to the first that fails.
///
/// # Errors
///
/// What failed, and how to repeat it.
pub(crate) fn run() -> Result<(), String> {
    prepare::rust_components()?;
    prepare::tools(&[CURL, PYTHON, CHROMIUM])?;
    let python = prepare::python()?;
    let python = python.to_string_lossy();

    Step::new("format", "cargo fmt --all --check").run()?;
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
        "the toolkit without features",
        "cargo clippy -p callgate-toolkit --no-default-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "the bridge without features",
        "cargo clippy -p callgate-tower --no-default-features -- -D warnings",
    )
    .run()?;
    Step::new(
        "tests and doctests",
        "cargo xtask postgres cargo test --workspace --all-features",
    )
    .env("CALLGATE_PYTHON", &*python)
    .run()?;
    Step::new(
        "tests of the protocol without features",
        "cargo test -p callgate --no-default-features",
    )
    .run()?;
    model_check()?;
    Step::new(
        "documentation",
        "cargo doc --workspace --no-deps --all-features",
    )
    .env("RUSTDOCFLAGS", "-D warnings")
    .run()?;
    Step::new(
        "packages",
        "cargo package --workspace --exclude xtask --exclude callgate-benches --no-verify --allow-dirty",
    )
    .run()?;
    println!("\nEverything passed.");
    Ok(())
}

/// Lets loom explore the races of the mailboxes.
fn model_check() -> Result<(), String> {
    // A directory of its own: the flags would have cargo build everything anew, here and after.
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
