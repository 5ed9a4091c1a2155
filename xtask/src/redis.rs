//! A Redis for the time of a command.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::prepare::{self, REDIS};
use crate::step::root;

/// The environment variable with the URL, for tests.
const VARIABLE: &str = "CALLGATE_REDIS_URL";

/// Runs a command, its program first, with a Redis of its own, whose URL is in `CALLGATE_REDIS_URL`.
///
/// # Errors
///
/// A Redis that does not start; a command that fails.
pub(crate) fn run(command: &[String]) -> Result<(), String> {
    let [program, args @ ..] = command else {
        return Err("`cargo xtask redis` takes a command, such as `cargo test`".into());
    };
    prepare::tools(&[REDIS])?;
    let redis = Redis::start()?;
    println!("Redis is at {}", redis.url);
    // No step: the way to repeat it is another run of this task.
    let status = Command::new(program)
        .args(args)
        .env(VARIABLE, &redis.url)
        .current_dir(root())
        .status()
        .map_err(|reason| format!("cannot run {program}: {reason}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} failed ({status})"))
    }
}

/// A Redis that is stopped and removed when this is dropped, or when this process ends.
#[derive(Debug)]
struct Redis {
    shell: Child,
    url: String,
}

impl Redis {
    fn start() -> Result<Self, String> {
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg(include_str!("redis.sh"))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|reason| format!("cannot start Redis: {reason}"))?;
        let mut directory = String::new();
        let read = BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut directory);
        let directory = directory.trim_end();
        let url = format!("unix://{directory}/redis.sock");
        let redis = Self { shell, url };
        match read {
            Ok(_) if !directory.is_empty() => Ok(redis),
            _ => Err("Redis has not started; what it said is above".into()),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The script waits for the end of its input.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
