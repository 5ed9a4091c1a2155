//! `cargo xtask soak`: the soak of `soak/`.

use crate::prepare::{self, PYTHON, REDIS};
use crate::step::{Step, shown, target};

/// Builds the soak, and runs it. `args` are its own. With `--python`, that of the wheel.
///
/// # Errors
///
/// What failed, and how to repeat it.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some((_, args)) = args.split_first().filter(|(first, _)| *first == "--python") {
        return run_python(args);
    }
    prepare::tools(&[REDIS])?;
    Step::new("build", "cargo build --release -p callgate-soak").run()?;
    let soak = target()?.join("release").join("soak");
    args.iter()
        .fold(Step::program("soak", shown(&soak)), Step::arg)
        .run()
}

/// Builds the wheel, and runs its soak. `args` are those of `soak/python/soak.py`.
fn run_python(args: &[String]) -> Result<(), String> {
    prepare::tools(&[PYTHON])?;
    let python = prepare::wheel_of_soak()?;
    let soak = Step::program("soak", shown(&python)).arg("soak/python/soak.py");
    args.iter().fold(soak, Step::arg).run()
}
