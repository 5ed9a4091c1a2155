//! `replay`: replays a recording to an application of this program, or to one of ASGI in Python.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use callgate::BoxApp;
use http::{HeaderName, HeaderValue};

use super::command_error::CommandError;
use super::python_app::PythonApp;
use super::subjects::{NamedApp, find_app};
use crate::replay::{REPLAY_TIMEOUT, Replay, ReplayOptions, replay};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
`callgate run NAME --record FILE` makes a recording. It may be of another application than it is replayed to: of one
that an application in Python takes the place of, for example:

  callgate-conformance replay orders.jsonl --asgi main:app

Heads, contents and messages are compared. `date` is not; --ignore leaves out other fields that change each time.

A recording has `<masked>` in place of credentials. The masked value is sent unless --credential has a
value for that field, such as `--credential 'authorization:Bearer 5ecret'`. In responses a masked field
is equal to any value.

Exit status: 0 when every response is equal to the recorded one, 1 when one is not.")]
pub(super) struct Args {
    /// The recording
    file: PathBuf,

    /// The name of an application of this program
    #[arg(long = "app", value_name = "NAME")]
    #[arg(required_unless_present = "asgi", conflicts_with = "asgi")]
    name: Option<String>,

    #[command(flatten)]
    python_app: PythonApp,

    /// Do not compare this header field; may be repeated
    #[arg(long, value_name = "FIELD")]
    ignore: Vec<HeaderName>,

    /// Send this value where the recording has a masked one; may be repeated
    #[arg(long = "credential", value_name = "FIELD:VALUE", value_parser = credential)]
    credentials: Vec<(HeaderName, HeaderValue)>,
}

/// Replays the recording that `args` name.
pub(super) fn run(args: &Args, apps: &[NamedApp]) -> Result<Replay, CommandError> {
    let asgi = args.python_app.import(REPLAY_TIMEOUT, "replay to")?;
    let make: Box<dyn Fn() -> BoxApp> = match (&asgi, &args.name) {
        (Some(asgi), _) => Box::new(|| BoxApp::new(asgi.make())),
        (None, name) => {
            let name = name.as_ref().expect("the parser requires one of them");
            let make = find_app(name, apps)?.make.clone();
            Box::new(move || make())
        }
    };
    let file = args.file.display();
    let recording = File::open(&args.file)
        .map_err(|error| CommandError::startup(format!("cannot read {file}: {error}")))?;
    let mut options = ReplayOptions::new();
    for name in &args.ignore {
        options = options.ignore(name.clone());
    }
    for (name, value) in &args.credentials {
        options = options.credential(name.clone(), value.clone());
    }
    let replayed = replay(BufReader::new(recording), make, options);
    if let Some(asgi) = &asgi {
        args.python_app.note_declined_startup(asgi);
    }
    replayed.map_err(|error| CommandError::startup(format!("{file}: {error}")))
}

fn credential(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let hint = "a credential is FIELD:VALUE, such as cookie:session=7";
    let (name, value) = text.split_once(':').ok_or(hint)?;
    match (name.trim().parse(), value.trim().parse()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(hint),
    }
}
