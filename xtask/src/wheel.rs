//! Applications in Python: the wheel `callgate` with its tests in Python, and the tests of programs in Rust.

mod files;

use std::path::Path;

use self::files::Files;
pub(crate) use self::files::install_published;
use crate::prepare::{
    self, CHROMIUM, POSTGRES, PYTHON, PYTHON_LIBRARY, PYTHON3, PythonEnvironment, REDIS,
};
use crate::step::{Step, shown, target};

/// The folder of the wheel.
const FOLDER: &str = "bridges/python";

/// The crate of the program in Rust with an application in Python.
const EXAMPLE: &str = "callgate-python-example";

/// The packages that its tests need, and the imports that fail when one is missing.
const REQUIREMENTS: &str = "bridges/python/tests/requirements.txt";
const IMPORTS: &str = "import asyncpg, channels, fastapi, flask, litestar, maturin, pytest, quart, selenium, uvloop, xdist";

/// The packages of the framework Bocadillo, which need older ones than the others.
const BOCADILLO: &str = "bridges/python/tests/requirements-bocadillo.txt";

/// The number of processes that run the tests in Python. Most tests wait, for processes that start and for what clients
/// must not do, so more of them run than there are cores.
const PROCESSES: &str = "4";

/// Fails where the interpreter has no shared library, which programs in Rust link.
const LIBRARY: &str = "import sysconfig; assert sysconfig.get_config_var('Py_ENABLE_SHARED') == 1";

/// The settings of the suite for servers, as flags of the wheel.
pub(crate) const SETTINGS: [&str; 6] = [
    "root-path=--root-path {value}",
    "lifespan=--lifespan {value}",
    "ws-max-size=--ws-max-size {value}",
    "ws-ping-interval=--ws-ping-interval {value}",
    "ws-ping-timeout=--ws-ping-timeout {value}",
    "timeout-graceful-shutdown=--timeout-graceful-shutdown {value}",
];

/// Builds the wheel, and runs its tests and those of programs in Rust. The arguments are those of pytest, but for
/// those about [`Files`].
///
/// # Errors
///
/// Returns which interpreter is missing, or how to repeat what failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let (files, arguments) = Files::read(arguments)?;
    prepare::tools(&[PYTHON, PYTHON_LIBRARY, CHROMIUM, POSTGRES, REDIS])?;
    Step::new(
        "the suite",
        "cargo build --package callgate-apps --all-features --bin callgate-conformance",
    )
    .run()?;
    match files {
        None => test(&arguments).map(drop),
        Some(files) => files::test(files, &arguments),
    }
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
    check_source(&environment)?;
    test_installed(&environment, arguments)
}

/// Runs the tests with the wheel that is installed in an environment, and those of programs in Rust. Returns their number.
///
/// # Errors
///
/// Returns how to repeat what failed.
fn test_installed(environment: &PythonEnvironment, arguments: &[String]) -> Result<usize, String> {
    let python = shown(&environment.python());
    let command = "cargo xtask postgres cargo xtask redis";
    let mut tests = Step::new("tests in Python", command);
    let mut embedded = 0;
    if environment.has(LIBRARY) {
        embedded = test_embedded(environment)?;
        let example = target()?.join("debug").join(EXAMPLE);
        tests = tests.env("CALLGATE_TEST_EXAMPLE", example.to_string_lossy());
    } else {
        println!("{python} has no shared library: the tests of programs in Rust are left out.");
    }
    if let Some(bocadillo) = bocadillo(environment)? {
        let python = bocadillo.python();
        tests = tests.env("CALLGATE_TEST_BOCADILLO", python.to_string_lossy());
    }
    let tests = tests
        .arg(&python)
        .arg("-m")
        .arg("pytest")
        .arg("-q")
        .arg("--numprocesses")
        .arg(PROCESSES)
        // Tests of a file share servers, and a database.
        .arg("--dist=loadfile")
        .arg(shown(&Path::new(FOLDER).join("tests")));
    let passed = (arguments.iter().cloned())
        .fold(tests, Step::arg)
        .run_tests()?;
    check_rules(&python)?;
    Ok(passed + embedded)
}

/// Returns an environment with the framework Bocadillo, of the same Python as another; `None` where this Python is too new for
/// it.
///
/// # Errors
///
/// Returns how to repeat what failed.
fn bocadillo(other: &PythonEnvironment) -> Result<Option<PythonEnvironment>, String> {
    let name = other.path().file_name().unwrap_or_default();
    let environment = PythonEnvironment::named(&format!("{}-bocadillo", name.display()))?;
    let is_usable = || environment.has("import bocadillo, uvloop");
    if !is_usable() {
        environment.create(&shown(&other.python()))?;
        environment.install(&["--no-deps", "-r", BOCADILLO])?;
        if !is_usable() {
            println!("This Python is too new for Bocadillo: its test is left out.");
            return Ok(None);
        }
    }
    Ok(Some(environment))
}

/// Packs the source distribution, and builds the native part from it: it has every file that this needs.
///
/// # Errors
///
/// Returns how to repeat what failed.
fn check_source(environment: &PythonEnvironment) -> Result<(), String> {
    let python = shown(&environment.python());
    let folder = environment.path().join("source");
    Step::program("the source distribution", &python)
        .arg("-m")
        .arg("maturin")
        .arg("sdist")
        .arg("--manifest-path")
        .arg(shown(&Path::new(FOLDER).join("Cargo.toml")))
        .arg("--out")
        .arg(shown(&folder))
        .run()?;
    let name = concat!("callgate-", env!("CARGO_PKG_VERSION"));
    Step::program("unpacking", &python)
        .arg("-m")
        .arg("tarfile")
        .arg("--extract")
        .arg(shown(&folder.join(format!("{name}.tar.gz"))))
        .arg(shown(&folder))
        .run()?;
    Step::new("its native part", "cargo build")
        .arg("--package")
        .arg("callgate-python")
        .arg("--features")
        .arg("wheel")
        .arg("--manifest-path")
        .arg(shown(&folder.join(name).join("Cargo.toml")))
        .arg("--target-dir")
        .arg(shown(&target()?))
        .env("PYO3_PYTHON", environment.python().to_string_lossy())
        .run()
}

/// Runs the tests of programs in Rust with applications in Python, which have the packages of the environment. This builds
/// the example as well, for the tests in Python. Returns the number of tests.
///
/// # Errors
///
/// Returns how to repeat what failed.
fn test_embedded(environment: &PythonEnvironment) -> Result<usize, String> {
    // With the features of the whole workspace, `cargo xtask test` has built nearly all dependencies. The tests do not
    // run in the root of the repository.
    let python = environment.python().to_string_lossy().into_owned();
    let path = environment.path().to_string_lossy().into_owned();
    Step::new(
        "applications in Python in a program in Rust",
        "cargo test --workspace --test embedded",
    )
    .env("PYO3_PYTHON", python)
    .env("VIRTUAL_ENV", path)
    .run_tests()
}
