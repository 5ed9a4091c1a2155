//! `cargo xtask postgres` and `cargo xtask redis`: a service for the time of a command.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::prepare::{self, Tool, is_root};
use crate::step::root;

/// A service that a shell script runs.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    /// The task that runs a command with the service.
    task: &'static str,
    tool: Tool,
    /// Prints the directory of the service once it serves, and stops it at the end of standard input.
    script: &'static str,
    /// The user that the script runs as, if this process runs as root.
    user: Option<&'static str>,
    /// The environment variable with the URL, for tests.
    variable: &'static str,
    /// Returns the URL of the service in a directory.
    url: fn(&str) -> String,
}

/// A PostgreSQL, whose URL is in `CALLGATE_POSTGRES_URL`.
pub(crate) const POSTGRES: Service = Service {
    name: "PostgreSQL",
    task: "postgres",
    tool: prepare::POSTGRES,
    script: include_str!("postgres.sh"),
    // The Debian package brings this user. PostgreSQL does not run as root.
    user: Some("postgres"),
    variable: "CALLGATE_POSTGRES_URL",
    url: |directory| {
        // The directory in place of a host, as libpq has it.
        let host = directory.replace('/', "%2F");
        format!("postgres://callgate@{host}/postgres")
    },
};

/// A Redis, whose URL is in `CALLGATE_REDIS_URL`.
pub(crate) const REDIS: Service = Service {
    name: "Redis",
    task: "redis",
    tool: prepare::REDIS,
    script: include_str!("redis.sh"),
    user: None,
    variable: "CALLGATE_REDIS_URL",
    url: |directory| format!("unix://{directory}/redis.sock"),
};

/// Runs a command, its program first, with a service of its own, whose URL is in the service's variable.
///
/// # Errors
///
/// A service that does not start; a command that fails.
pub(crate) fn run(service: &Service, command: &[String]) -> Result<(), String> {
    let Service { name, task, .. } = service;
    let [program, args @ ..] = command else {
        return Err(format!(
            "`cargo xtask {task}` takes a command, such as `cargo test`"
        ));
    };
    prepare::tools(&[service.tool])?;
    let running = Running::start(service)?;
    println!("{name} is at {}", running.url);
    // No step: the way to repeat it is another run of this task.
    let status = Command::new(program)
        .args(args)
        .env(service.variable, &running.url)
        .current_dir(root())
        .status()
        .map_err(|reason| format!("cannot run {program}: {reason}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} failed ({status})"))
    }
}

/// A service that is stopped and removed when this is dropped, or when this process ends.
#[derive(Debug)]
struct Running {
    shell: Child,
    url: String,
}

impl Running {
    fn start(service: &Service) -> Result<Self, String> {
        let Service { name, script, .. } = service;
        let mut shell = shell(service.user)
            .args(["-c", script])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|reason| format!("cannot start {name}: {reason}"))?;
        let mut directory = String::new();
        let read = BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut directory);
        let directory = directory.trim_end();
        let url = (service.url)(directory);
        let running = Self { shell, url };
        match read {
            Ok(_) if !directory.is_empty() => Ok(running),
            _ => Err(format!("{name} has not started; what it said is above")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The script waits for the end of its input.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Returns a shell that runs as a user, or as the user of this process without one, or unless this process runs as root.
fn shell(user: Option<&str>) -> Command {
    match user.filter(|_| is_root()) {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={user}"))
                .arg(format!("--regid={user}"))
                .args(["--clear-groups", "--reset-env", "sh"]);
            command
        }
        None => Command::new("sh"),
    }
}
