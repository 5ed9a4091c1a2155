//! The wheel `callgate`, and its tests in Python.

use std::path::Path;

use crate::prepare::{self, POSTGRES, PYTHON, PYTHON3, PythonEnvironment, REDIS};
use crate::step::{Step, shown, target};

/// The folder of the wheel.
const FOLDER: &str = "bridges/python";

/// The packages that its tests need, and the imports that fail when one is missing.
const REQUIREMENTS: &str = "bridges/python/tests/requirements.txt";
const IMPORTS: &str =
    "import asyncpg, channels, fastapi, flask, litestar, maturin, pytest, quart, uvloop";

/// The settings of the suite for servers, as flags of the wheel.
const SETTINGS: [&str; 6] = [
    "root-path=--root-path {value}",
    "lifespan=--lifespan {value}",
    "ws-max-size=--ws-max-size {value}",
    "ws-ping-interval=--ws-ping-interval {value}",
    "ws-ping-timeout=--ws-ping-timeout {value}",
    "timeout-graceful-shutdown=--timeout-graceful-shutdown {value}",
];

/// Builds the wheel, and runs its tests with these arguments of pytest.
///
/// # Errors
///
/// Returns how to repeat what failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    prepare::tools(&[PYTHON, POSTGRES, REDIS])?;
    Step::new(
        "the suite",
        "cargo build --package callgate-apps --all-features --bin callgate-conformance",
    )
    .run()?;
    test(arguments).map(drop)
}

/// Checks the wheel against the rules that ASGI shares, in cleartext and over TLS. The suite has been built.
///
/// # Errors
///
/// Returns how to repeat the check that failed.
fn check_rules(python: &str) -> Result<(), String> {
    let program = shown(&target()?.join("debug").join("callgate-conformance"));
    let tls = "--ssl-certfile {certfile} --ssl-keyfile {keyfile}";
    for (name, flag, certificate) in [
        ("the rules, in cleartext", None, ""),
        ("the rules, over TLS", Some("--tls"), tls),
    ] {
        let command = format!(
            "{python} -m callgate asgi_probe:app --app-dir conformance-tests --port {{port}} {certificate} {{flags}}"
        );
        let suite = Step::program(name, &program).arg("server").arg("--asgi");
        let suite = flag.into_iter().fold(suite, Step::arg);
        let suite = suite.arg("--command").arg(command);
        let flags = SETTINGS.iter().map(|setting| format!("--flag={setting}"));
        flags.fold(suite, Step::arg).run()?;
    }
    Ok(())
}

/// Builds the wheel, installs it in an environment of its own, and runs its tests, with the suite as it has been built.
/// Returns their number.
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
    let passed = (arguments.iter().cloned())
        .fold(tests, Step::arg)
        .run_tests()?;
    check_rules(&python)?;
    Ok(passed)
}
