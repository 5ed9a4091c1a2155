//! `cargo xtask bench`: the side-by-side runner of `benches`.

use crate::prepare::{self, NGINX, PYTHON, REDIS, VALGRIND};
use crate::step::{Step, shown, target};

/// Builds the servers that are compared, and compares them. `args` are the runner's.
///
/// # Errors
///
/// What failed, and how to repeat it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    prepare::optional_tools(&[NGINX, VALGRIND, REDIS, PYTHON]);
    let python = prepare::optional_bench_python();
    Step::new("build", "cargo build --release -p callgate-benches --bins").run()?;
    let runner = target()?.join("release").join("side-by-side");
    let python = python.map_or_else(Vec::new, |python| vec!["--python".into(), shown(&python)]);
    args.iter()
        .chain(&python)
        .fold(Step::program("bench", shown(&runner)), Step::arg)
        .run()
}
