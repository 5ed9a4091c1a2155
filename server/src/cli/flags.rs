//! The flags of a server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tracing::level_filters::LevelFilter;

use super::values::{
    TimeLimit, backlog, boolean, cores, field_count, head_size, header, host, http_versions,
    lifespan, log_level, message_size, per_message_deflate, port, root_path, seconds, some_seconds,
    stream_count, threads, time_limit,
};
use crate::{Config, HttpVersions, LifespanMode, PerMessageDeflate};

/// The flags of a server, each with its environment variable: a [`Config`], and two that are for
/// the command line only, `threads` and `log_level`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    about = None,
    long_about = None,
    after_help = "\
Each flag can be given by an environment variable too: --port by CALLGATE_PORT, --no-date-header
by CALLGATE_NO_DATE_HEADER=true. Several headers go on a line each. A flag overrides its variable."
)]
#[non_exhaustive]
pub struct Flags {
    /// IP address to listen on; 0.0.0.0 or :: for all that this machine has
    #[arg(long, value_parser = host, value_name = "ADDRESS", default_value = "127.0.0.1")]
    #[arg(env = "CALLGATE_HOST", hide_env = true)]
    pub host: IpAddr,

    /// Port to listen on; 0 for any free one
    #[arg(long, value_parser = port, default_value = "8000", allow_negative_numbers = true)]
    #[arg(env = "CALLGATE_PORT", hide_env = true)]
    pub port: u16,

    /// Threads to serve with; as many as there are cores if not given
    #[arg(long, value_parser = threads, value_name = "NUMBER", allow_negative_numbers = true)]
    #[arg(default_value_t = cores())]
    #[arg(env = "CALLGATE_THREADS", hide_env = true)]
    pub threads: NonZeroUsize,

    /// Path under which a proxy has mounted the application, if it has, such as /api
    #[arg(long, value_parser = root_path, value_name = "PATH")]
    #[arg(default_value = "", hide_default_value = true)]
    #[arg(env = "CALLGATE_ROOT_PATH", hide_env = true)]
    pub root_path: String,

    /// Least severe events to log: trace, debug, info, warn, error or off
    #[arg(long, value_parser = log_level(), value_name = "LEVEL", ignore_case = true)]
    #[arg(default_value = "info", hide_possible_values = true)]
    #[arg(env = "CALLGATE_LOG_LEVEL", hide_env = true)]
    pub log_level: LevelFilter,

    /// Log each exchange when its response begins
    #[arg(long, value_parser = boolean)]
    #[arg(env = "CALLGATE_ACCESS_LOG", hide_env = true)]
    pub access_log: bool,

    /// Do not log exchanges, even with CALLGATE_ACCESS_LOG=true
    #[arg(long)]
    pub no_access_log: bool,

    /// Do not add `server: callgate` to responses
    #[arg(long, value_parser = boolean)]
    #[arg(env = "CALLGATE_NO_SERVER_HEADER", hide_env = true)]
    pub no_server_header: bool,

    /// Do not add `date` to responses
    #[arg(long, value_parser = boolean)]
    #[arg(env = "CALLGATE_NO_DATE_HEADER", hide_env = true)]
    pub no_date_header: bool,

    /// Add this header to responses that have none of the name; may be given repeatedly
    #[arg(long = "header", value_parser = header, value_name = "NAME:VALUE", value_delimiter = '\n')]
    #[arg(env = "CALLGATE_HEADER", hide_env = true)]
    pub headers: Vec<(HeaderName, HeaderValue)>,

    /// Connections that may wait in the system's queue to be accepted
    #[arg(long, value_parser = backlog, value_name = "NUMBER", allow_negative_numbers = true)]
    #[arg(default_value = "2048")]
    #[arg(env = "CALLGATE_BACKLOG", hide_env = true)]
    pub backlog: u32,

    /// HTTP versions to serve: 1, 2 or auto, which is whichever the client speaks
    #[arg(long, value_parser = http_versions(), value_name = "VERSION", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    #[arg(env = "CALLGATE_HTTP", hide_env = true)]
    pub http: HttpVersions,

    /// Run the application's lifespan: on, off or auto, which lets it decline
    #[arg(long, value_parser = lifespan(), value_name = "MODE", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    #[arg(env = "CALLGATE_LIFESPAN", hide_env = true)]
    pub lifespan: LifespanMode,

    /// Close a connection that is idle between requests for this long
    #[arg(long, value_parser = seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "5")]
    #[arg(env = "CALLGATE_TIMEOUT_KEEP_ALIVE", hide_env = true)]
    pub timeout_keep_alive: Duration,

    /// Close a connection whose client takes longer to send the head of a request
    #[arg(long, value_parser = some_seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "30")]
    #[arg(env = "CALLGATE_TIMEOUT_REQUEST_HEAD", hide_env = true)]
    pub timeout_request_head: Duration,

    /// Give up a client that makes no progress with its content for this long
    #[arg(long, value_parser = some_seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "60")]
    #[arg(env = "CALLGATE_TIMEOUT_REQUEST_CONTENT", hide_env = true)]
    pub timeout_request_content: Duration,

    /// Give up a client that takes nothing of its response for this long
    #[arg(long, value_parser = some_seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "60")]
    #[arg(env = "CALLGATE_TIMEOUT_WRITE", hide_env = true)]
    pub timeout_write: Duration,

    /// Let a client that has closed its sending side wait for its response for this long
    #[arg(long, value_parser = seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "2")]
    #[arg(env = "CALLGATE_TIMEOUT_HALF_CLOSE", hide_env = true)]
    pub timeout_half_close: Duration,

    /// Let the application go on for this long after its client is gone
    #[arg(long, value_parser = seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "30")]
    #[arg(env = "CALLGATE_TIMEOUT_DISCONNECT", hide_env = true)]
    pub timeout_disconnect: Duration,

    /// Drop what still runs this long after being told to stop; `none` to wait for it
    #[arg(long, value_parser = time_limit, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "30")]
    #[arg(env = "CALLGATE_TIMEOUT_GRACEFUL_SHUTDOWN", hide_env = true)]
    pub timeout_graceful_shutdown: TimeLimit,

    /// Largest head of a request; at least 8192
    #[arg(long, value_parser = head_size, value_name = "BYTES", allow_negative_numbers = true)]
    #[arg(default_value = "65536")]
    #[arg(env = "CALLGATE_MAX_REQUEST_HEAD", hide_env = true)]
    pub max_request_head: usize,

    /// Most header fields of an HTTP/1 request; at most 24576
    #[arg(long, value_parser = field_count, value_name = "NUMBER", allow_negative_numbers = true)]
    #[arg(default_value = "100")]
    #[arg(env = "CALLGATE_MAX_REQUEST_FIELDS", hide_env = true)]
    pub max_request_fields: usize,

    /// Most streams that a client may have open on an HTTP/2 connection at a time
    #[arg(long, value_parser = stream_count, value_name = "NUMBER", allow_negative_numbers = true)]
    #[arg(default_value = "100")]
    #[arg(env = "CALLGATE_HTTP2_MAX_CONCURRENT_STREAMS", hide_env = true)]
    pub http2_max_concurrent_streams: u32,

    /// Largest WebSocket message to take
    #[arg(long, value_parser = message_size, value_name = "BYTES", allow_negative_numbers = true)]
    #[arg(default_value = "16777216")]
    #[arg(env = "CALLGATE_WS_MAX_SIZE", hide_env = true)]
    pub ws_max_size: usize,

    /// Compress WebSocket messages if the client can: off, on or context-takeover, which compresses
    /// small messages better and keeps 340 KiB for each WebSocket
    #[arg(long, value_parser = per_message_deflate(), value_name = "MODE", default_value = "on")]
    #[arg(hide_possible_values = true)]
    #[arg(env = "CALLGATE_WS_PER_MESSAGE_DEFLATE", hide_env = true)]
    pub ws_per_message_deflate: PerMessageDeflate,

    /// Send a ping on a WebSocket that is silent for this long; 0 for never
    #[arg(long, value_parser = seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "20")]
    #[arg(env = "CALLGATE_WS_PING_INTERVAL", hide_env = true)]
    pub ws_ping_interval: Duration,

    /// Close a WebSocket whose client was pinged and does nothing for this long; 0 for never
    #[arg(long, value_parser = seconds, value_name = "SECONDS", allow_negative_numbers = true)]
    #[arg(default_value = "20")]
    #[arg(env = "CALLGATE_WS_PING_TIMEOUT", hide_env = true)]
    pub ws_ping_timeout: Duration,
}

impl Flags {
    /// Returns the configuration that these flags give.
    #[must_use]
    pub fn into_config(self) -> Config {
        Config {
            host: self.host,
            port: self.port,
            backlog: self.backlog,
            http: self.http,
            root_path: self.root_path,
            lifespan: self.lifespan,
            server_header: !self.no_server_header,
            date_header: !self.no_date_header,
            headers: self.headers,
            access_log: self.access_log && !self.no_access_log,
            timeout_keep_alive: self.timeout_keep_alive,
            timeout_request_head: self.timeout_request_head,
            timeout_request_content: self.timeout_request_content,
            timeout_write: self.timeout_write,
            timeout_half_close: self.timeout_half_close,
            timeout_disconnect: self.timeout_disconnect,
            timeout_graceful_shutdown: self.timeout_graceful_shutdown,
            max_request_head: self.max_request_head,
            max_request_fields: self.max_request_fields,
            http2_max_concurrent_streams: self.http2_max_concurrent_streams,
            ws_max_size: self.ws_max_size,
            ws_per_message_deflate: self.ws_per_message_deflate,
            ws_ping_interval: none_if_zero(self.ws_ping_interval),
            ws_ping_timeout: none_if_zero(self.ws_ping_timeout),
        }
    }
}

fn none_if_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    /// Reads flags, and leaves the environment of the test alone.
    fn read(args: &[&str]) -> Result<Flags, clap::Error> {
        let matches = Flags::augment_args(Command::new("test"))
            .no_binary_name(true)
            .mut_args(|arg| arg.env(None::<&str>))
            .try_get_matches_from(args)?;
        Flags::from_arg_matches(&matches)
    }

    fn config(args: &[&str]) -> Config {
        read(args).unwrap().into_config()
    }

    #[test]
    fn no_flags_give_the_default_config() {
        assert_eq!(
            format!("{:?}", config(&[])),
            format!("{:?}", Config::default())
        );
        assert_eq!(read(&[]).unwrap().log_level, LevelFilter::INFO);
    }

    #[test]
    fn each_flag_reaches_its_field() {
        let flags = read(&[
            "--host=::1",
            "--port=0",
            "--threads=3",
            "--root-path=/api",
            "--log-level=error",
            "--access-log",
            "--no-server-header",
            "--no-date-header",
            "--header=x-one: 1",
            "--header=x-two:b:c",
            "--backlog=7",
            "--http=2",
            "--lifespan=on",
            "--timeout-keep-alive=0.5",
            "--timeout-request-head=1",
            "--timeout-request-content=6",
            "--timeout-write=7",
            "--timeout-half-close=8",
            "--timeout-disconnect=2",
            "--timeout-graceful-shutdown=3",
            "--max-request-head=8192",
            "--max-request-fields=9",
            "--http2-max-concurrent-streams=11",
            "--ws-max-size=10",
            "--ws-per-message-deflate=context-takeover",
            "--ws-ping-interval=4",
            "--ws-ping-timeout=5",
        ])
        .unwrap();
        assert_eq!(flags.threads.get(), 3);
        assert_eq!(flags.log_level, LevelFilter::ERROR);
        let expected = Config {
            host: "::1".parse().unwrap(),
            port: 0,
            backlog: 7,
            http: HttpVersions::Http2,
            root_path: "/api".into(),
            lifespan: LifespanMode::On,
            server_header: false,
            date_header: false,
            headers: vec![
                ("x-one".parse().unwrap(), "1".parse().unwrap()),
                ("x-two".parse().unwrap(), "b:c".parse().unwrap()),
            ],
            access_log: true,
            timeout_keep_alive: Duration::from_millis(500),
            timeout_request_head: Duration::from_secs(1),
            timeout_request_content: Duration::from_secs(6),
            timeout_write: Duration::from_secs(7),
            timeout_half_close: Duration::from_secs(8),
            timeout_disconnect: Duration::from_secs(2),
            timeout_graceful_shutdown: Some(Duration::from_secs(3)),
            max_request_head: 8192,
            max_request_fields: 9,
            http2_max_concurrent_streams: 11,
            ws_max_size: 10,
            ws_per_message_deflate: PerMessageDeflate::ContextTakeover,
            ws_ping_interval: Some(Duration::from_secs(4)),
            ws_ping_timeout: Some(Duration::from_secs(5)),
        };
        assert_eq!(
            format!("{:?}", flags.into_config()),
            format!("{expected:?}")
        );
    }

    #[test]
    fn every_flag_that_takes_a_value_has_a_variable_of_its_name() {
        let command = Flags::augment_args(Command::new("test"));
        for arg in command.get_arguments() {
            let flag = arg.get_long().unwrap();
            let expected = format!("CALLGATE_{}", flag.to_uppercase().replace('-', "_"));
            let is_its_opposites = flag == "no-access-log";
            assert_eq!(
                arg.get_env().and_then(|name| name.to_str()),
                (!is_its_opposites).then_some(expected.as_str()),
                "--{flag}"
            );
        }
    }

    #[test]
    fn no_access_log_wins_over_access_log() {
        assert!(!config(&["--access-log", "--no-access-log"]).access_log);
    }

    #[test]
    fn compression_is_switched_as_uvicorn_switches_it_too() {
        for (given, taken) in [
            ("off", PerMessageDeflate::Off),
            ("false", PerMessageDeflate::Off),
            ("on", PerMessageDeflate::On),
            ("true", PerMessageDeflate::On),
        ] {
            let config = config(&["--ws-per-message-deflate", given]);
            assert_eq!(config.ws_per_message_deflate, taken);
        }
    }

    #[test]
    fn zero_switches_pings_off() {
        let config = config(&["--ws-ping-interval=0", "--ws-ping-timeout=0.0"]);
        assert_eq!(config.ws_ping_interval, None);
        assert_eq!(config.ws_ping_timeout, None);
    }

    #[test]
    fn a_graceful_shutdown_without_a_limit_can_be_asked_for() {
        for (given, limit) in [("none", None), ("0", Some(Duration::ZERO))] {
            let config = config(&["--timeout-graceful-shutdown", given]);
            assert_eq!(config.timeout_graceful_shutdown, limit);
        }
    }

    #[test]
    fn hosts_may_be_written_as_in_a_url() {
        assert_eq!(config(&["--host=localhost"]).host, Ipv4Addr::LOCALHOST);
        assert_eq!(config(&["--host=[::1]"]).host.to_string(), "::1");
    }

    #[test]
    fn root_paths_lose_their_last_slash() {
        for (given, taken) in [
            ("", ""),
            ("/", ""),
            ("/api", "/api"),
            ("/api/v1/", "/api/v1"),
        ] {
            assert_eq!(config(&["--root-path", given]).root_path, taken);
        }
    }

    #[test]
    fn log_levels_of_uvicorn_are_understood() {
        for (given, taken) in [
            ("warning", LevelFilter::WARN),
            ("critical", LevelFilter::ERROR),
            ("DEBUG", LevelFilter::DEBUG),
        ] {
            assert_eq!(read(&["--log-level", given]).unwrap().log_level, taken);
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for flag in [
            "--host=example.com",
            "--port=65536",
            "--threads=0",
            "--threads=1025",
            "--root-path=api",
            "--root-path=/api?x",
            "--log-level=loud",
            "--header=no-colon",
            "--header=bad name:1",
            "--header=transfer-encoding:chunked",
            "--backlog=0",
            "--http=3",
            "--lifespan=maybe",
            "--timeout-keep-alive=-1",
            "--timeout-keep-alive=NaN",
            "--timeout-keep-alive=inf",
            "--timeout-request-head=0",
            "--timeout-graceful-shutdown=never",
            "--timeout-graceful-shutdown=-1",
            "--max-request-head=8191",
            "--max-request-fields=0",
            "--http2-max-concurrent-streams=0",
            "--timeout-write=0",
            "--timeout-half-close=-1",
            "--ws-max-size=0",
            "--ws-per-message-deflate=maybe",
            "--ws-ping-interval=soon",
        ] {
            assert!(read(&[flag]).is_err(), "{flag}");
        }
    }
}
