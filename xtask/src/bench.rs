//! `cargo xtask bench`: the side-by-side runner of `benches`.

use crate::prepare::{self, H2LOAD, WRK};
use crate::step::{Step, shown, target};

/// Builds the contenders, and compares them. `args` are the runner's.
///
/// # Errors
///
/// Returns the command that failed, and how to repeat it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    prepare::tools(&[WRK, H2LOAD])?;
    Step::new(
        "build",
        "cargo build --release -p callgate-apps -p callgate-benches --bins",
    )
    .run()?;
    let runner = target()?.join("release").join("side-by-side");
    args.iter()
        .fold(Step::program("bench", shown(&runner)), Step::arg)
        .run()
}
