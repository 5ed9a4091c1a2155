//! A PostgreSQL for the time of a command.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::prepare::{self, POSTGRES, is_root};
use crate::step::root;

/// The environment variable with the URL, for tests.
const VARIABLE: &str = "CALLGATE_POSTGRES_URL";

/// The user that the Debian package brings: PostgreSQL does not run as root.
const USER: &str = "postgres";

/// Runs a command, its program first, with a PostgreSQL of its own, whose URL is in
/// `CALLGATE_POSTGRES_URL`.
///
/// # Errors
///
/// A PostgreSQL that does not start; a command that fails.
pub(crate) fn run(command: &[String]) -> Result<(), String> {
    let [program, args @ ..] = command else {
        return Err("`cargo xtask postgres` takes a command, such as `cargo test`".into());
    };
    prepare::tools(&[POSTGRES])?;
    let postgres = Postgres::start()?;
    println!("PostgreSQL is at {}", postgres.url);
    // No step: the way to repeat it is another run of this task.
    let status = Command::new(program)
        .args(args)
        .env(VARIABLE, &postgres.url)
        .current_dir(root())
        .status()
        .map_err(|reason| format!("cannot run {program}: {reason}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} failed ({status})"))
    }
}

/// A PostgreSQL that is stopped and removed when this is dropped, or when this process ends.
#[derive(Debug)]
struct Postgres {
    shell: Child,
    url: String,
}

impl Postgres {
    fn start() -> Result<Self, String> {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={USER}"))
                .arg(format!("--regid={USER}"))
                .args(["--clear-groups", "--reset-env", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut shell = command
            .arg("-c")
            .arg(include_str!("postgres.sh"))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|reason| format!("cannot start PostgreSQL: {reason}"))?;
        let mut directory = String::new();
        let read = BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut directory);
        let directory = directory.trim_end();
        // The directory in place of a host, as libpq has it.
        let host = directory.replace('/', "%2F");
        let url = format!("postgres://callgate@{host}/postgres");
        let postgres = Self { shell, url };
        match read {
            Ok(_) if !directory.is_empty() => Ok(postgres),
            _ => Err("PostgreSQL has not started; what it said is above".into()),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The script waits for the end of its input.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
