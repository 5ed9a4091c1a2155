//! `http`: checks anything that serves HTTP on a port.

use std::path::PathBuf;
use std::time::Duration;

use super::command_error::CommandError;
use super::progress::Progress;
use super::reporting::ReportForm;
use super::request_path::request_path;
use super::seconds::seconds;
use super::server_url::ServerUrl;
use crate::http_suite::{HttpOptions, HttpReport, HttpTarget, check_http, http_checks};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The server is checked from outside, against the RFCs; nothing in it has to know the suite. The path of
--url is requested with GET, and must not be answered with an error. HTTP/2 is checked where the
server speaks it: by prior knowledge at an http URL, and by ALPN at an https URL. What the server does
not offer, and what needs a path that is not given, is not checked.

The suite sends malformed requests, and up to 256 KiB in one. Check servers of your own.

  callgate-conformance http --url http://127.0.0.1:8000/ --content-path /echo --websocket-path /chat")]
pub(super) struct Args {
    /// The URL of the server, with a path that answers GET
    #[arg(long, value_name = "URL", value_parser = ServerUrl::parse, required_unless_present = "list")]
    url: Option<ServerUrl>,

    /// The authority that issued the certificate of the server at an https URL; without it, any
    /// certificate is accepted
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,

    /// A path that reads the content of POST before it answers; that of --url if not given
    #[arg(long, value_name = "PATH", value_parser = request_path)]
    content_path: Option<String>,

    /// A path that answers GET with 204
    #[arg(long, value_name = "PATH", value_parser = request_path)]
    no_content_path: Option<String>,

    /// A path that answers GET with content of unknown length
    #[arg(long, value_name = "PATH", value_parser = request_path)]
    streamed_path: Option<String>,

    /// A path that accepts WebSockets
    #[arg(long, value_name = "PATH", value_parser = request_path)]
    websocket_path: Option<String>,

    /// Run the check of this name only, such as two_lengths; may be repeated
    #[arg(long = "case", value_name = "NAME", value_parser = case)]
    cases: Vec<String>,

    /// List the checks: name, level, place and sentence
    #[arg(long)]
    list: bool,

    /// The time to wait for each step of the server
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    #[arg(allow_negative_numbers = true)]
    timeout: Duration,

    #[command(flatten)]
    pub(super) form: ReportForm,
}

/// Checks the server that `args` name. Returns `None` if only the checks are to be listed.
pub(super) async fn check(args: &Args) -> Result<Option<HttpReport>, CommandError> {
    let url = match &args.url {
        Some(url) if !args.list => url,
        _ => return Ok(None),
    };
    let target = HttpTarget {
        address: url.address,
        authority: url.authority.clone(),
        tls: url.client_tls(args.ca.as_deref())?,
    };
    let options = HttpOptions {
        path: url.path.clone(),
        content_path: args.content_path.clone(),
        no_content_path: args.no_content_path.clone(),
        streamed_path: args.streamed_path.clone(),
        websocket_path: args.websocket_path.clone(),
        timeout: args.timeout,
        cases: args.cases.clone(),
    };
    let mut progress = Progress::new(options.checks().count());
    let report = check_http(&target, &options, |finding| {
        progress.on_check(finding.check.name, finding.verdict.is_failed());
    });
    let report = report.await.map_err(|reason| {
        CommandError::startup(format!(
            "cannot check `{}`: {reason} (start the server first)",
            url.authority
        ))
    })?;
    Ok(Some(report))
}

/// Returns the list of the checks.
pub(super) fn list() -> String {
    http_checks()
        .map(|check| {
            format!(
                "{:32} {:6}  {}: {}\n",
                check.name,
                check.basis.level.to_string(),
                check.basis,
                check.sentence
            )
        })
        .collect()
}

fn case(name: &str) -> Result<String, &'static str> {
    match http_checks().any(|check| check.name == name) {
        true => Ok(name.to_owned()),
        false => Err("give the name of a check, as `callgate-conformance http --list` has it"),
    }
}
