//! The requirements of the tasks beyond cargo: checks and installations.

use std::path::{Path, PathBuf};

use crate::step::{Step, shown, target};

/// A program that a task needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// A shell command that succeeds when the program is installed.
    check: &'static str,
    /// The Debian packages of the program.
    packages: &'static [&'static str],
}

/// An HTTP/1.1 and HTTP/2 client for tests.
pub(crate) const CURL: Tool = Tool {
    check: "curl --version",
    packages: &["curl"],
};

/// An interpreter for clients and servers in Python, which tests run against.
pub(crate) const PYTHON: Tool = Tool {
    check: "python3 -m ensurepip --version",
    packages: &["python3", "python3-venv"],
};

/// The library of the interpreter, for programs in Rust with applications in Python.
pub(crate) const PYTHON_LIBRARY: Tool = Tool {
    check: "python3 -c 'import os, sysconfig; get = sysconfig.get_config_var; \
            exit(not os.path.exists(os.path.join(get(\"LIBDIR\"), get(\"LDLIBRARY\"))))'",
    packages: &["python3-dev"],
};

/// A browser and its driver, for tests of pages.
pub(crate) const CHROMIUM: Tool = Tool {
    check: "chromedriver --version",
    packages: &["chromium", "chromium-driver"],
};

/// A server to compare with.
pub(crate) const NGINX: Tool = Tool {
    check: "nginx -v",
    packages: &["nginx"],
};

/// A counter of instructions and allocations.
pub(crate) const VALGRIND: Tool = Tool {
    check: "valgrind --version",
    packages: &["valgrind"],
};

/// A compiler for the fuzz targets, into which libFuzzer is built.
pub(crate) const CXX: Tool = Tool {
    check: "c++ --version",
    packages: &["g++"],
};

/// A database server for tests.
pub(crate) const POSTGRES: Tool = Tool {
    // `pg_config` is also there where only the client is installed.
    check: "$(pg_config --bindir)/initdb --version",
    packages: &["postgresql"],
};

/// A store of groups for tests and measurements.
pub(crate) const REDIS: Tool = Tool {
    check: "redis-server --version && redis-cli --version",
    packages: &["redis-server"],
};

/// Prints the packages that a task is about to install for `tools`, for Rust and for Python.
pub(crate) fn announce(tools: &[Tool]) {
    let python = PythonEnvironment::named("python").is_ok_and(|python| python.has(TEST_IMPORTS));
    let announcement = announcement(
        &missing_packages(tools),
        &missing_components(),
        if python { &[] } else { &TEST_PACKAGES },
    );
    println!("{announcement}");
}

fn announcement(debian: &[&str], rust: &[&str], python: &[&str]) -> String {
    let lines: String = [
        ("Debian packages, as root with apt-get", debian),
        ("Rust components, with rustup", rust),
        ("Python packages from PyPI, in target/python", python),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(kind, names)| format!("\n  {kind}: {}", names.join(" ")))
    .collect();
    if lines.is_empty() {
        "Nothing has to be installed.".to_owned()
    } else {
        format!("What is missing is installed first:{lines}")
    }
}

/// Returns the packages of those `tools` that are missing.
fn missing_packages(tools: &[Tool]) -> Vec<&'static str> {
    tools
        .iter()
        .filter(|tool| {
            !Step::program("check", "sh")
                .arg("-c")
                .arg(tool.check)
                .succeeds()
        })
        .flat_map(|tool| tool.packages)
        .copied()
        .collect()
}

/// Installs the packages of those `tools` that are missing.
///
/// # Errors
///
/// Names the packages when this does not run as root; returns how to repeat an installation that
/// failed.
pub(crate) fn tools(tools: &[Tool]) -> Result<(), String> {
    refuse_without_root(tools)?;
    let missing = missing_packages(tools).join(" ");
    if missing.is_empty() {
        return Ok(());
    }
    Step::new("the list of Debian packages", "apt-get update").run()?;
    Step::new(format!("Debian packages: {missing}"), &install(&missing))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

/// Installs the packages of those `tools` that are missing, as [`tools`] does. Says so when that fails,
/// and goes on.
pub(crate) fn optional_tools(tools: &[Tool]) {
    for tool in tools {
        if let Err(reason) = self::tools(std::slice::from_ref(tool)) {
            println!(
                "What needs {} is left out: {reason}",
                tool.packages.join(" ")
            );
        }
    }
}

/// Checks that missing packages can be installed.
///
/// # Errors
///
/// Names the missing packages when this does not run as root.
pub(crate) fn refuse_without_root(tools: &[Tool]) -> Result<(), String> {
    let missing = missing_packages(tools).join(" ");
    if missing.is_empty() || is_root() {
        return Ok(());
    }
    Err(format!(
        "missing: {missing} (install with `sudo {}`, or with the packages of your system)",
        install(&missing)
    ))
}

fn install(packages: &str) -> String {
    format!("apt-get install --yes --no-install-recommends {packages}")
}

/// The components that cargo needs to check the format and to run clippy, each with its check.
const COMPONENTS: [(&str, &str); 2] = [
    ("rustfmt", "cargo fmt --version"),
    ("clippy", "cargo clippy --version"),
];

fn missing_components() -> Vec<&'static str> {
    COMPONENTS
        .into_iter()
        .filter(|(_, check)| !Step::new("check", check).succeeds())
        .map(|(component, _)| component)
        .collect()
}

/// Installs the components that cargo needs to check the format and to run clippy.
///
/// # Errors
///
/// Names a missing component when there is no rustup; returns how to repeat an installation that
/// failed.
pub(crate) fn rust_components() -> Result<(), String> {
    missing_components()
        .into_iter()
        .try_for_each(install_component)
}

/// Installs what merges the profiles of a program: `llvm-profdata` of the compiler's version.
///
/// # Errors
///
/// Says that it is missing when there is no rustup; returns how to repeat an installation that failed.
pub(crate) fn profile_tools() -> Result<(), String> {
    let installed = Step::new("check", "rustup component list --installed").silent_output();
    let is_installed = installed.is_some_and(|list| list.contains(PROFILE_TOOLS));
    match is_installed || Step::new("check", "llvm-profdata --version").succeeds() {
        true => Ok(()),
        false => install_component(PROFILE_TOOLS),
    }
}

/// The component of Rust that has `llvm-profdata`.
const PROFILE_TOOLS: &str = "llvm-tools";

fn install_component(component: &str) -> Result<(), String> {
    if !Step::new("check", "rustup --version").succeeds() {
        return Err(format!(
            "missing: {component} (install it from where your Rust comes from)"
        ));
    }
    let install = format!("rustup component add {component}");
    Step::new(format!("Rust component: {component}"), &install).run()
}

/// The Python packages that tests need, and the imports that fail when a package is missing.
const TEST_PACKAGES: [&str; 6] = [
    "h11",
    "httpx[http2]",
    "websockets",
    "uvicorn",
    "starlette",
    "fastapi",
];
const TEST_IMPORTS: &str = "import h11, h2, httpx, websockets, uvicorn, starlette, fastapi";

/// Returns the interpreter of a virtual environment with the Python packages that tests need, which
/// are installed if need be.
///
/// # Errors
///
/// Returns how to repeat an installation that failed.
pub(crate) fn python() -> Result<PathBuf, String> {
    let environment = PythonEnvironment::named("python")?;
    if !environment.has(TEST_IMPORTS) {
        environment.create(PYTHON3)?;
        environment.install(&TEST_PACKAGES)?;
    }
    Ok(environment.python())
}

/// The Python packages that the channel layer is compared with, and the imports that fail when one is missing.
const BENCH_PACKAGES: [&str; 5] = [
    "uvicorn[standard]",
    "channels",
    "channels_redis",
    "broadcaster[redis]",
    // broadcaster 0.3.1 receives nothing with redis 8.
    "redis<8",
];
const BENCH_IMPORTS: &str =
    "import uvicorn, uvloop, httptools, websockets, channels, channels_redis, broadcaster, redis";

/// Returns the interpreter of a virtual environment with the Python packages that the channel layer is compared
/// with, which are installed if need be. Says so when that fails.
pub(crate) fn optional_bench_python() -> Option<PathBuf> {
    let environment = || {
        let environment = PythonEnvironment::named("bench-python")?;
        if !environment.has(BENCH_IMPORTS) {
            environment.create(PYTHON3)?;
            environment.install(&BENCH_PACKAGES)?;
        }
        Ok::<_, String>(environment.python())
    };
    environment()
        .inspect_err(|reason| println!("What needs Python packages is left out: {reason}"))
        .ok()
}

/// The version of Python with which the wheel is compared with other servers, where the machine has it; weft-server needs
/// 3.12 or later.
const PYTHON_OF_PEERS: &str = "3.13";
/// The packages of the applications that these servers run.
const PACKAGES_OF_APPLICATIONS: [&str; 4] = [
    "fastapi==0.165.0",
    "asyncpg==0.32.0",
    "flask==3.1.3",
    "psycopg2-binary==2.9.13",
];
/// The servers. The first of them brings httptools, uvloop and websockets, which others use, too.
const PACKAGES_OF_PEERS: [&str; 6] = [
    "uvicorn[standard]==0.54.0",
    "granian==2.8.9",
    "hypercorn==0.18.0",
    "gunicorn==27.0.1",
    "weft-server==0.1.1",
    "h2corn==2.0.0",
];
/// The folder of the wheel, as pip takes it.
pub(crate) const WHEEL: &str = "./bridges/python[standard]";

/// Returns a virtual environment with the servers that the wheel is compared with, what the applications need, and
/// maturin. Says which server cannot be installed.
///
/// # Errors
///
/// Returns how to repeat an installation that failed.
pub(crate) fn peers_of_the_wheel() -> Result<PythonEnvironment, String> {
    let environment = PythonEnvironment::named("bench-wheel")?;
    if !environment.python().exists() {
        let interpreter = interpreter(PYTHON_OF_PEERS).unwrap_or_else(|| {
            println!("There is no Python {PYTHON_OF_PEERS}: {PYTHON3} is used.");
            PYTHON3.to_owned()
        });
        environment.create(&interpreter)?;
    }
    let missing: Vec<_> = (PACKAGES_OF_APPLICATIONS.into_iter())
        .filter(|package| !environment.has_package(package))
        .collect();
    if !missing.is_empty() {
        environment.install(&missing)?;
    }
    for package in PACKAGES_OF_PEERS {
        if !environment.has_package(package)
            && let Err(reason) = environment.install(&[package])
        {
            println!("{package} is left out: {reason}");
        }
    }
    if !environment.has("import maturin") {
        environment.install(&["maturin"])?;
    }
    Ok(environment)
}

/// Builds the wheel. Returns the interpreter of a virtual environment with this wheel, and with what its soak needs.
///
/// # Errors
///
/// Returns how to repeat an installation that failed.
pub(crate) fn wheel_of_soak() -> Result<PathBuf, String> {
    let environment = PythonEnvironment::named("soak-wheel")?;
    if !environment.python().exists() {
        environment.create(PYTHON3)?;
    }
    environment.install(&[WHEEL, "fastapi==0.165.0", "h2==4.4.1", "websockets==17.4"])?;
    Ok(environment.python())
}

/// The interpreter that [`PYTHON`] installs.
pub(crate) const PYTHON3: &str = "python3";

/// Returns an interpreter of this version of Python, such as `3.13`: from the path, or from pyenv. Returns `None` if
/// there is neither.
pub(crate) fn interpreter(version: &str) -> Option<String> {
    let name = format!("python{version}");
    // What pyenv has in the path is there for every version, and starts the chosen ones only.
    if Step::program("check", &name).arg("--version").succeeds() {
        return Some(name);
    }
    let prefix = Step::new("check", "pyenv prefix")
        .arg(version)
        .silent_output()?;
    Some(format!("{}/bin/python", prefix.trim()))
}

/// A virtual environment for Python, in the directory where cargo builds.
#[derive(Debug)]
pub(crate) struct PythonEnvironment {
    path: PathBuf,
}

impl PythonEnvironment {
    /// Returns the environment of this name, whether or not it exists.
    ///
    /// # Errors
    ///
    /// Returns why the directory where cargo builds is unknown.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let path = target()?.join(name);
        Ok(Self { path })
    }

    /// Returns the path of the interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.path.join("bin").join("python")
    }

    /// Returns the folder of the environment.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether a line of imports succeeds.
    pub(crate) fn has(&self, imports: &str) -> bool {
        Step::program("check", shown(&self.python()))
            .arg("-c")
            .arg(imports)
            .succeeds()
    }

    /// Returns whether this version of a package, such as `name[extra]==1.0`, is installed.
    fn has_package(&self, package: &str) -> bool {
        let (name, version) = package.split_once("==").expect("a version");
        let name = name.split('[').next().unwrap_or_default();
        self.has(&format!(
            "from importlib.metadata import version; assert version('{name}') == '{version}'"
        ))
    }

    /// Creates the environment, of this interpreter. The remains of an earlier attempt are removed first.
    ///
    /// # Errors
    ///
    /// Returns how to repeat the creation that failed.
    pub(crate) fn create(&self, interpreter: &str) -> Result<(), String> {
        let args = ["-m", "venv", "--clear"].into_iter();
        args.fold(
            Step::program("a Python environment", interpreter),
            Step::arg,
        )
        .arg(shown(&self.path))
        .run()
    }

    /// Installs the newest versions of these packages.
    ///
    /// # Errors
    ///
    /// Returns how to repeat the installation that failed.
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

/// Returns whether this process runs as root: it may install packages, and must not start PostgreSQL.
pub(crate) fn is_root() -> bool {
    Step::new("who this is", "id -u")
        .silent_output()
        .is_some_and(|user| user.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installations_are_announced_by_their_kind() {
        assert_eq!(
            announcement(&["curl", "postgresql"], &[], &["uvicorn"]),
            "What is missing is installed first:
  Debian packages, as root with apt-get: curl postgresql
  Python packages from PyPI, in target/python: uvicorn"
        );
        assert_eq!(announcement(&[], &[], &[]), "Nothing has to be installed.");
    }

    #[test]
    fn a_program_that_is_missing_is_announced_by_its_packages() {
        let missing = Tool {
            check: "false",
            packages: &["one", "other"],
        };
        let installed = Tool {
            check: "true",
            packages: &["third"],
        };
        assert_eq!(missing_packages(&[installed, missing]), ["one", "other"]);
    }
}
