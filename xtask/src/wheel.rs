//! The wheel `callgate`, and its tests in Python.

use std::path::Path;

use crate::prepare::{self, POSTGRES, PYTHON, PYTHON3, PythonEnvironment, REDIS};
use crate::step::{Step, shown};

/// The folder of the wheel.
const FOLDER: &str = "bridges/python";

/// The packages that its tests need, and the imports that fail when one is missing.
const REQUIREMENTS: &str = "bridges/python/tests/requirements.txt";
const IMPORTS: &str =
    "import asyncpg, channels, fastapi, flask, litestar, maturin, pytest, quart, uvloop";

/// Builds the wheel, and runs its tests with these arguments of pytest.
///
/// # Errors
///
/// Returns how to repeat what failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    prepare::tools(&[PYTHON, POSTGRES, REDIS])?;
    test(arguments).map(drop)
}

/// Builds the wheel, installs it in an environment of its own, and runs its tests. Returns their number.
///
/// # Errors
///
/// Returns how to repeat what failed.
pub(crate) fn test(arguments: &[String]) -> Result<usize, String> {
    let environment = PythonEnvironment::named("wheel")?;
    if !environment.has(IMPORTS) {
        environment.create(PYTHON3)?;
        environment.install(&["maturin", "-r", REQUIREMENTS])?;
    }
    let python = shown(&environment.python());
    let manifest = shown(&Path::new(FOLDER).join("Cargo.toml"));
    let virtual_environment = shown(environment.path());
    Step::program("the wheel", &python)
        .arg("-m")
        .arg("maturin")
        .arg("develop")
        .arg("--locked")
        .arg("--manifest-path")
        .arg(&manifest)
        .env("VIRTUAL_ENV", &virtual_environment)
        .env("PYO3_PYTHON", &python)
        .run()?;
    let command = "cargo xtask postgres cargo xtask redis";
    let tests = Step::new("tests in Python", command)
        .arg(&python)
        .arg("-m")
        .arg("pytest")
        .arg("-q")
        .arg(shown(&Path::new(FOLDER).join("tests")));
    (arguments.iter().cloned())
        .fold(tests, Step::arg)
        .run_tests()
}
