//! `cargo xtask soak`: the soak of `soak/`.

use crate::prepare::{self, REDIS};
use crate::step::{Step, shown, target};

/// Builds the soak, and runs it. `args` are its own.
///
/// # Errors
///
/// What failed, and how to repeat it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    prepare::tools(&[REDIS])?;
    Step::new("build", "cargo build --release -p callgate-soak").run()?;
    let soak = target()?.join("release").join("soak");
    args.iter()
        .fold(Step::program("soak", shown(&soak)), Step::arg)
        .run()
}
