//! `replay`: plays a recording to an application that this program brings.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use http::HeaderName;

use super::{OwnApp, Stopped, a_name};
use crate::{Replay, ReplayOptions, replay};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
`callgate run NAME --record FILE` makes a recording. Heads, contents and messages are compared;
`date` is not, and other fields that change each time are left out by --ignore.

Exit status: 0 when every exchange was answered as it was recorded, 1 when one was not.")]
pub(super) struct Args {
    /// The recording
    file: PathBuf,

    /// The name of the application
    #[arg(long = "app", value_name = "NAME")]
    name: String,

    /// Do not compare this header field; may be given repeatedly
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<HeaderName>,
}

/// Plays the recording that `args` name.
pub(super) fn play(args: &Args, apps: &[OwnApp]) -> Result<Replay, Stopped> {
    let app = a_name(&args.name, apps)?;
    let file = args.file.display();
    let recording = File::open(&args.file)
        .map_err(|error| Stopped::startup(format!("cannot read {file}: {error}")))?;
    let options = args
        .ignore
        .iter()
        .cloned()
        .fold(ReplayOptions::new(), ReplayOptions::ignore);
    replay(BufReader::new(recording), || (app.make)(), options)
        .map_err(|error| Stopped::startup(format!("{file}: {error}")))
}
