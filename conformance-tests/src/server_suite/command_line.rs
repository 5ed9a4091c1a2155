//! Servers that a command line starts.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::launch::{LaunchError, RunningServer, ServerExit, ServerLauncher};
use super::settings::ServerSettings;
use crate::probe::PROBE_VARIABLE;

/// The time for which the suite goes on reading the log of a server that has ended. The log stays
/// open while a child process of the server lives.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// In a command, the places of the files of the server's certificate.
const CERTFILE: &str = "{certfile}";
const KEYFILE: &str = "{keyfile}";

/// Starts a server by a command line.
#[derive(Clone, Debug)]
pub struct CommandLine {
    command: String,
    name: Option<String>,
    /// The server's flags, by the name of the setting; empty if it has those of [`ServerSettings`].
    flags: Vec<(String, String)>,
}

impl CommandLine {
    /// Creates a launcher from the command that starts a server on the loopback interface. `{port}` is
    /// replaced by the port to listen on, and `{flags}` by the flags of [`ServerSettings`]; without
    /// `{flags}`, cases that need a setting are not run. `{certfile}` and `{keyfile}` are replaced by the
    /// files of the server's certificate, which then are not among the flags. A shell runs the command, with
    /// [`PROBE_VARIABLE`] in its environment.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            name: None,
            flags: Vec::new(),
        }
    }

    /// Names the server in the report.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds the server's flag for a setting. `setting` is the name of the setting, such as `root-path`,
    /// or a name with one value, such as `lifespan:off`. In `flag`, `{value}` is replaced by the value,
    /// and `{integer}` by a value that must be a whole number. Once a flag was added, cases that need a
    /// setting without a flag are not run.
    #[must_use]
    pub fn flag(mut self, setting: impl Into<String>, flag: impl Into<String>) -> Self {
        self.flags.push((setting.into(), flag.into()));
        self
    }

    /// Returns the flags that set this server to `settings`.
    fn flags(&self, mut settings: ServerSettings) -> Result<String, LaunchError> {
        for (placeholder, file) in [
            (CERTFILE, &mut settings.ssl_certfile),
            (KEYFILE, &mut settings.ssl_keyfile),
        ] {
            if self.command.contains(placeholder) {
                *file = None;
            }
        }
        let wanted = settings.flags();
        if wanted.is_empty() {
            return Ok(String::new());
        }
        if !self.command.contains("{flags}") {
            return Err(LaunchError::NotSupported(format!(
                "it needs the flags `{}`, and the command has no `{{flags}}`",
                wanted.join(" ")
            )));
        }
        if self.flags.is_empty() {
            return Ok(wanted.join(" "));
        }
        let mut flags = Vec::new();
        for pair in wanted.chunk_by(|_, next| !next.starts_with("--")) {
            let setting = pair[0].trim_start_matches('-');
            flags.push(self.own_flag(setting, &pair[1..].join(" "))?);
        }
        Ok(flags.join(" "))
    }

    fn own_flag(&self, setting: &str, value: &str) -> Result<String, LaunchError> {
        let with_value = format!("{setting}:{value}");
        let not_supported = || {
            LaunchError::NotSupported(format!("the server has no flag for `--{setting} {value}`"))
        };
        let (_, flag) = self
            .flags
            .iter()
            .find(|(name, _)| *name == setting || *name == with_value)
            .ok_or_else(not_supported)?;
        if flag.contains("{integer}") && value.parse::<u64>().is_err() {
            return Err(not_supported());
        }
        Ok(flag.replace("{value}", value).replace("{integer}", value))
    }
}

impl ServerLauncher for CommandLine {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.command.clone())
    }

    fn launch(
        &self,
        settings: &ServerSettings,
        suite: SocketAddr,
    ) -> Result<Box<dyn RunningServer>, LaunchError> {
        let flags = self.flags(settings.clone())?;
        let address = free_address()?;
        let path = |path: &Option<PathBuf>| {
            let path = path.as_ref().map(|path| path.display().to_string());
            path.unwrap_or_default()
        };
        let command = self
            .command
            .replace("{port}", &address.port().to_string())
            .replace(CERTFILE, &path(&settings.ssl_certfile))
            .replace(KEYFILE, &path(&settings.ssl_keyfile))
            .replace("{flags}", &flags);
        let mut child = Command::new("sh")
            .arg("-c")
            // The server replaces the shell, so that it receives the signals.
            .arg(format!("exec {command}"))
            .env(PROBE_VARIABLE, suite.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A process group for the server and its workers.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let log = Arc::default();
        let reading = [
            keep_lines(child.stdout.take().expect("piped"), &log),
            keep_lines(child.stderr.take().expect("piped"), &log),
        ];
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Box::new(Process {
            child,
            group,
            address,
            log,
            reading,
        }))
    }
}

/// Returns an address with a free port.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn keep_lines(
    output: impl AsyncRead + Unpin + Send + 'static,
    log: &Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let log = log.clone();
    tokio::spawn(async move {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = output.read_until(b'\n', &mut line).await {
            let mut log = log.lock().expect("never held across a panic");
            // A server may log octets of clients that are not UTF-8.
            log.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

struct Process {
    child: Child,
    group: Option<Pid>,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    reading: [JoinHandle<()>; 2],
}

impl RunningServer for Process {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn stop(&mut self) {
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = process.and_then(Pid::from_raw) {
            // An error means that the server has ended.
            let _ = kill_process(process, Signal::TERM);
        }
    }

    fn log(&self) -> String {
        self.log.lock().expect("never held across a panic").clone()
    }

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = ServerExit> + '_>> {
        Box::pin(async {
            let status = self.child.wait().await.ok();
            // The log is complete when its pipes are closed.
            let _ = tokio::time::timeout(LOG_TIMEOUT, async {
                for reading in &mut self.reading {
                    if !reading.is_finished() {
                        let _ = reading.await;
                    }
                }
            })
            .await;
            ServerExit::with_status(status.and_then(|status| status.code()))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Workers may outlive the server.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(server: &CommandLine, settings: &ServerSettings) -> Result<String, String> {
        server.flags(settings.clone()).map_err(|error| match error {
            LaunchError::NotSupported(what) => what,
            LaunchError::Failed(error) => error.to_string(),
        })
    }

    fn settings() -> ServerSettings {
        ServerSettings {
            root_path: Some("/api".into()),
            ws_max_size: Some(10),
            ws_ping_interval: Some(Duration::from_millis(500)),
            ..ServerSettings::default()
        }
    }

    #[test]
    fn a_server_without_flags_of_its_own_has_those_of_the_settings() {
        let server = CommandLine::new("serve {flags}");
        assert_eq!(
            flags(&server, &settings()),
            Ok("--root-path /api --ws-max-size 10 --ws-ping-interval 0.5".into())
        );
    }

    #[test]
    fn flags_of_its_own_are_used_in_place_of_those_of_the_settings() {
        let server = CommandLine::new("serve {flags}")
            .flag("root-path", "--prefix={value}")
            .flag("ws-ping-interval", "--ping {value}")
            .flag("ws-max-size", "--size {integer}");
        assert_eq!(
            flags(&server, &settings()),
            Ok("--prefix=/api --size 10 --ping 0.5".into())
        );
    }

    #[test]
    fn a_file_with_a_place_in_the_command_is_not_a_flag() {
        let settings = ServerSettings {
            ssl_certfile: Some("a.pem".into()),
            ssl_keyfile: Some("a.key".into()),
            ..settings()
        };
        let server = CommandLine::new("serve {certfile} {flags}");
        let flags = flags(&server, &settings).unwrap();
        assert!(flags.ends_with(" --ssl-keyfile a.key"), "{flags}");
        assert!(!flags.contains("a.pem"), "{flags}");
    }

    #[test]
    fn a_setting_without_a_flag_is_not_supported() {
        let without = CommandLine::new("serve");
        assert!(flags(&without, &settings()).is_err());
        assert_eq!(
            flags(&without, &ServerSettings::default()),
            Ok(String::new())
        );

        let with_one = CommandLine::new("serve {flags}").flag("lifespan:off", "--none");
        let off = |lifespan| ServerSettings {
            lifespan,
            ..ServerSettings::default()
        };
        use crate::server_suite::LifespanMode;
        assert_eq!(
            flags(&with_one, &off(LifespanMode::Off)),
            Ok("--none".into())
        );
        assert_eq!(
            flags(&with_one, &off(LifespanMode::On)),
            Err("the server has no flag for `--lifespan on`".into())
        );

        let whole = CommandLine::new("serve {flags}").flag("ws-ping-interval", "--ping {integer}");
        let half = ServerSettings {
            ws_ping_interval: Some(Duration::from_millis(500)),
            ..ServerSettings::default()
        };
        assert!(flags(&whole, &half).is_err());
    }

    #[tokio::test]
    async fn a_log_may_have_octets_that_are_no_text() {
        let log = Arc::default();
        keep_lines(&b"a\n\xE9\nb"[..], &log).await.unwrap();
        assert_eq!(*log.lock().unwrap(), "a\n\u{FFFD}\nb");
    }
}
