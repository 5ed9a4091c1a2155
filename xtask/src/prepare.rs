//! What the tasks need beyond cargo, and how it is had.

use std::path::PathBuf;

use crate::step::{Step, shown, target};

/// A program that a task needs, how to see that it is there, and the Debian packages it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// Succeeds in the shell when it is there.
    check: &'static str,
    packages: &'static [&'static str],
}

/// Talks HTTP/1.1 and HTTP/2 in tests.
pub(crate) const CURL: Tool = Tool {
    check: "curl --version",
    packages: &["curl"],
};

/// Runs clients of other makers in tests.
pub(crate) const PYTHON: Tool = Tool {
    check: "python3 -m ensurepip --version",
    packages: &["python3", "python3-venv"],
};

/// A browser, and what drives it in tests.
pub(crate) const CHROMIUM: Tool = Tool {
    check: "chromedriver --version",
    packages: &["chromium", "chromium-driver"],
};

/// Loads a server over HTTP/1.1.
pub(crate) const WRK: Tool = Tool {
    // Asked for its version, it fails.
    check: "which wrk",
    packages: &["wrk"],
};

/// Loads a server over HTTP/2.
pub(crate) const H2LOAD: Tool = Tool {
    check: "h2load --version",
    packages: &["nghttp2-client"],
};

/// Holds a database in tests.
pub(crate) const POSTGRES: Tool = Tool {
    // Without its server as well there is a `pg_config`.
    check: "$(pg_config --bindir)/initdb --version",
    packages: &["postgresql"],
};

/// Sees to it that `tools` are there.
///
/// # Errors
///
/// The packages to install, when this does not run as root; an installation that failed.
pub(crate) fn tools(tools: &[Tool]) -> Result<(), String> {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| {
            !Step::program("check", "sh")
                .arg("-c")
                .arg(tool.check)
                .succeeds()
        })
        .flat_map(|tool| tool.packages)
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    let install = format!("apt-get install --yes --no-install-recommends {missing}");
    if !is_root() {
        return Err(format!(
            "missing: {missing} (install with `sudo {install}`, or with what your system has for it)"
        ));
    }
    Step::new("the list of Debian packages", "apt-get update").run()?;
    Step::new(format!("Debian packages: {missing}"), &install)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

/// Sees to it that cargo can check the format and run clippy.
///
/// # Errors
///
/// What to install, when rustup cannot.
pub(crate) fn rust_components() -> Result<(), String> {
    for (component, check) in [
        ("rustfmt", "cargo fmt --version"),
        ("clippy", "cargo clippy --version"),
    ] {
        if Step::new("check", check).succeeds() {
            continue;
        }
        if !Step::new("check", "rustup --version").succeeds() {
            return Err(format!(
                "missing: {component} (install it from where your Rust comes)"
            ));
        }
        let install = format!("rustup component add {component}");
        Step::new(format!("Rust component: {component}"), &install).run()?;
    }
    Ok(())
}

/// What the tests need of Python, and what to import to see that it is there.
const TEST_PACKAGES: [&str; 3] = ["httpx[http2]", "websockets", "uvicorn"];
const TEST_IMPORTS: &str = "import httpx, h2, websockets, uvicorn";

/// The interpreter of a virtual environment that has the clients of the tests, and a server to
/// test the probe of ASGI with.
///
/// # Errors
///
/// An environment or a package that cannot be installed.
pub(crate) fn python() -> Result<PathBuf, String> {
    let environment = PythonEnvironment::named("python")?;
    let has_packages = Step::program("check", shown(&environment.python()))
        .arg("-c")
        .arg(TEST_IMPORTS)
        .succeeds();
    if !has_packages {
        environment.create()?;
        environment.install(&TEST_PACKAGES)?;
    }
    Ok(environment.python())
}

/// A virtual environment for Python, where cargo builds.
#[derive(Debug)]
pub(crate) struct PythonEnvironment {
    path: PathBuf,
}

impl PythonEnvironment {
    /// The one of this name, which may be yet to be made.
    ///
    /// # Errors
    ///
    /// It is not known where cargo builds.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let path = target()?.join(name);
        Ok(Self { path })
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.path.join("bin").join("python")
    }

    /// Makes it, in place of whatever an earlier attempt left behind.
    ///
    /// # Errors
    ///
    /// What failed, and how to repeat it.
    pub(crate) fn create(&self) -> Result<(), String> {
        Step::new("a Python environment", "python3 -m venv --clear")
            .arg(shown(&self.path))
            .run()
    }

    /// Installs the newest versions of these packages.
    ///
    /// # Errors
    ///
    /// What failed, and how to repeat it.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<(), String> {
        let pip = ["-m", "pip", "install", "--upgrade"];
        pip.into_iter()
            .chain(packages.iter().copied())
            .fold(
                Step::program("Python packages", shown(&self.python())),
                Step::arg,
            )
            .run()
    }
}

/// Whether this may install, and must not run everything.
pub(crate) fn is_root() -> bool {
    Step::new("who this is", "id -u")
        .silent_output()
        .is_some_and(|user| user.trim() == "0")
}
