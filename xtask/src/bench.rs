//! `cargo xtask bench`: the side-by-side runner of `benches`.

use crate::prepare::{self, NGINX, POSTGRES, PYTHON, REDIS, VALGRIND};
use crate::step::{Step, shown, target};
use crate::wheel;

/// The argument that stands for the wheel beside other servers of Python.
const OF_PYTHON: &str = "--python";

/// Builds the servers that are compared, and compares them. `args` are the runner's.
///
/// # Errors
///
/// What failed, and how to repeat it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.iter().any(|arg| arg == OF_PYTHON) {
        let args = args.iter().filter(|arg| *arg != OF_PYTHON);
        return of_python(args.cloned());
    }
    prepare::optional_tools(&[NGINX, VALGRIND, REDIS, PYTHON]);
    let python = prepare::optional_bench_python();
    Step::new("build", "cargo build --release -p callgate-benches --bins").run()?;
    let runner = runner()?;
    let python = python.map_or_else(Vec::new, |python| vec!["--python".into(), shown(&python)]);
    args.iter()
        .chain(&python)
        .fold(Step::program("bench", runner), Step::arg)
        .run()
}

/// Builds the wheel, and compares it with other servers of Python.
fn of_python(args: impl Iterator<Item = String>) -> Result<(), String> {
    prepare::tools(&[PYTHON])?;
    let database = prepare::tools(&[POSTGRES]);
    let environment = prepare::peers_of_the_wheel()?;
    wheel::install_published(&environment)?;
    Step::new(
        "build",
        "cargo build --release -p callgate-benches --bin side-by-side",
    )
    .run()?;
    let runner = runner()?;
    let bench = match database {
        Ok(()) => Step::new("bench", "cargo xtask postgres").arg(runner),
        Err(reason) => {
            println!("What needs PostgreSQL is left out: {reason}");
            Step::program("bench", runner)
        }
    };
    args.fold(bench, Step::arg)
        .arg("--wheel")
        .arg(shown(&environment.python()))
        .run()
}

/// Returns the path of the runner.
fn runner() -> Result<String, String> {
    Ok(shown(&target()?.join("release").join("side-by-side")))
}
