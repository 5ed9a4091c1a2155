//! `server`: checks a server that the suite starts, or a server that is already running.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use super::command_error::CommandError;
use super::progress::Progress;
use super::reporting::Reporting;
use super::seconds::seconds;
use super::server_url::ServerUrl;
use super::subjects::NamedServer;
use crate::probe::PROBE_VARIABLE;
use crate::report::Report;
use crate::server_suite::{
    AttachedServer, ClientTls, CommandLine, ServerLauncher, ServerOptions, ServerSettings,
    server_checks, try_check_server,
};

/// The hidden subcommand that runs the server of this program.
pub(super) const PROBE_COMMAND: &str = "probe";

/// The time in which a server that the suite does not start must call the probe. A person may start
/// the server only after the suite.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(60);

const AFTER_HELP: &str = "\
Without --command and --url, the server of this program is started and checked.

The server must serve the probe, an application that does what the suite commands: for a server of
Callgate `callgate_conformance::Probe`, for a server of ASGI `asgi_probe.py`.

  callgate-conformance server --asgi \\
    --command 'uvicorn --app-dir conformance-tests asgi_probe:app --port {port} {flags}'

{port} is the port of 127.0.0.1 to listen on. {flags} are the settings that a case needs, with the
flag names of uvicorn and `callgate run`. For a server with other names, --flag gives the flag of a
setting. A case whose setting has no --flag is not run. {value} stands for the value, {integer} for a
value that must be a whole number:

  --flag 'root-path=--prefix {value}' --flag 'lifespan:off=--no-lifespan'

The settings are root-path, lifespan, ws-max-size, ws-ping-interval, ws-ping-timeout,
timeout-graceful-shutdown and timeout-disconnect.

With --tls, the clients speak TLS, and the server gets two more settings, ssl-certfile and ssl-keyfile.
In the command, {certfile} and {keyfile} stand for the same files. The cases about client certificates
need ssl-ca-certs and ssl-cert-reqs, whose value 1 admits clients without a certificate.

A server that the suite does not start connects to the suite when it calls the probe. Start the suite
first:

  callgate-conformance server --url http://127.0.0.1:8000 --probe 127.0.0.1:9000
  CALLGATE_PROBE=127.0.0.1:9000 my-server --port 8000";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Start this server; {port} and {flags} stand for its port and its settings
    #[arg(long, value_name = "COMMAND", value_parser = command, conflicts_with = "url")]
    command: Option<String>,

    /// The flag of that server for a setting; may be repeated
    #[arg(long = "flag", value_name = "SETTING=FLAG", value_parser = flag, requires = "command")]
    flags: Vec<(String, String)>,

    /// Check the server that is running at this address
    #[arg(long, value_name = "URL", value_parser = url, requires = "probe")]
    url: Option<ServerUrl>,

    /// Listen here for the probe of that server
    #[arg(long, value_name = "ADDRESS", value_parser = probe, requires = "url")]
    probe: Option<SocketAddr>,

    /// Check the server over TLS, with certificates that the suite makes; HTTP/2 is negotiated by ALPN
    #[arg(long, conflicts_with = "url")]
    tls: bool,

    /// The authority that issued the certificate of the server at an https URL; without it, any
    /// certificate is accepted
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,

    /// Leave out what only Callgate demands, for servers of ASGI
    #[arg(long)]
    asgi: bool,

    /// Run the check of this name only, such as a_date_by_default; may be repeated
    #[arg(long = "case", value_name = "NAME", value_parser = case)]
    cases: Vec<String>,

    /// The time to wait for each step of the server
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    #[arg(allow_negative_numbers = true)]
    timeout: Duration,

    #[command(flatten)]
    pub(super) reporting: Reporting,
}

/// Checks the server that `args` select, or else the server of this program.
pub(super) async fn check(
    args: &Args,
    own_server: Option<&NamedServer>,
) -> Result<Report, CommandError> {
    let checks: Vec<_> = server_checks().collect();
    let options = ServerOptions {
        timeout: args.timeout,
        only: args.reporting.only(&checks, "server")?,
        cases: args.cases.clone(),
        asgi: args.asgi,
        tls: client_tls(args)?,
    };
    let launch = launch(args, own_server)?;

    let mut progress = Progress::new(options.checks().count());
    let name = launch.name();
    let (timeout, status, remedy) = match args.probe {
        None => (args.timeout, format!("starting {name}"), String::new()),
        Some(probe) => (
            args.timeout.max(ATTACH_TIMEOUT),
            format!("waiting for {name} with {PROBE_VARIABLE}={probe}"),
            format!(" (start it with {PROBE_VARIABLE}={probe} in its environment)"),
        ),
    };
    progress.show_status(&status);
    try_check_server(&*launch, &options, timeout, |finding| {
        progress.on_finding(finding);
    })
    .await
    .map_err(|reason| CommandError::startup(format!("cannot check `{name}`: {reason}{remedy}")))
}

/// Returns the TLS of the clients; `None` for cleartext.
fn client_tls(args: &Args) -> Result<Option<ClientTls>, CommandError> {
    match &args.url {
        Some(url) => url.client_tls(args.ca.as_deref()),
        None if args.tls => ClientTls::with_own_certificates()
            .map(Some)
            .map_err(|error| CommandError::startup(format!("cannot make certificates: {error}"))),
        _ => Ok(None),
    }
}

fn launch(
    args: &Args,
    own_server: Option<&NamedServer>,
) -> Result<Box<dyn ServerLauncher>, CommandError> {
    if let (Some(url), Some(probe)) = (&args.url, args.probe) {
        // A listener that fails here has a better message than one that fails in the suite.
        TcpListener::bind(probe).map_err(|error| {
            CommandError::startup(format!(
                "cannot listen on {probe} for the probe: {error} (choose another address with --probe)"
            ))
        })?;
        return Ok(Box::new(AttachedServer::new(url.address, probe)));
    }
    let server = match &args.command {
        Some(command) => CommandLine::new(command),
        None => this_program(own_server)?,
    };
    let flags = args.flags.iter().cloned();
    let server = flags.fold(server, |server, (setting, flag)| server.flag(setting, flag));
    Ok(Box::new(server))
}

/// Returns the command line that starts the server of this program, in a process of its own.
fn this_program(own_server: Option<&NamedServer>) -> Result<CommandLine, CommandError> {
    let own_server = own_server.ok_or_else(|| {
        CommandError::usage("there is no server to check (give --command, or --url and --probe)")
    })?;
    let program = std::env::current_exe()
        .map_err(|error| CommandError::startup(format!("cannot find this program: {error}")))?;
    let program = program.to_string_lossy().replace('\'', r"'\''");
    let command = format!("'{program}' {PROBE_COMMAND} --port {{port}} {{flags}}");
    Ok(CommandLine::new(command).named(&own_server.name))
}

// The parsers of the values: their errors describe a valid value.

fn case(name: &str) -> Result<String, &'static str> {
    match server_checks().any(|check| check.name == name) {
        true => Ok(name.to_owned()),
        false => Err("give the name of a check, as --list --format json has it"),
    }
}

fn command(text: &str) -> Result<String, &'static str> {
    match text.contains("{port}") {
        true => Ok(text.to_owned()),
        false => Err("say with {port} where the port goes, as in `my-server --port {port}`"),
    }
}

fn flag(text: &str) -> Result<(String, String), String> {
    let (setting, flag) = text
        .split_once('=')
        .ok_or("give SETTING=FLAG, such as `root-path=--prefix {value}`")?;
    let setting = setting.trim_start_matches('-');
    let name = setting.split(':').next().unwrap_or_default();
    let names: Vec<_> = ServerSettings::names().collect();
    if !names.iter().any(|known| known == name) {
        let names = names.join(", ");
        return Err(format!("there is no setting `{name}`; one of: {names}"));
    }
    Ok((setting.to_owned(), flag.to_owned()))
}

fn url(text: &str) -> Result<ServerUrl, String> {
    let url = ServerUrl::parse(text)?;
    match url.path.as_str() {
        "/" => Ok(url),
        _ => Err("give a URL without a path, such as http://127.0.0.1:8000".into()),
    }
}

fn probe(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() != 0)
        .ok_or("give an address and a port, such as 127.0.0.1:9000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_every_setting() {
        for name in ServerSettings::names() {
            assert!(AFTER_HELP.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_flag_is_one_of_a_setting() {
        for known in ["root-path=--prefix {value}", "--lifespan:off=--none"] {
            assert!(flag(known).is_ok(), "{known}");
        }
        for unknown in ["rootpath=--prefix {value}", "=--prefix", "root-path"] {
            assert!(flag(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_case_is_the_name_of_a_check() {
        assert!(case("a_date_by_default").is_ok());
        assert!(case("a_start_alone_over_http2").is_ok());
        assert!(case("a date by default").is_err());
    }
}
