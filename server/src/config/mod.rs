//! The settings of a server.
//!
//! Each setting is defined once, in the file of its group. Its field, its method of [`Config`], its
//! flag, its environment variable, its key of the settings file and its place in the documents come
//! from that definition.

mod admin;
mod http;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod kind;
mod limits;
mod listen;
mod log;
mod process;
mod proxy;
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "only the command line shows the settings")
)]
mod setting;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod values;
mod websocket;

pub use self::admin::Admin;
pub use self::http::{Http, HttpVersions};
pub use self::http1::Http1;
#[cfg(feature = "http2")]
pub use self::http2::Http2;
pub use self::limits::Limits;
pub use self::listen::{BindAddress, Listen, SocketOwner};
pub use self::log::{AccessLogFormat, Log, LogFormat, LogLevel, LogTime};
pub use self::process::{LifespanMode, Process};
pub use self::proxy::Proxy;
pub use self::timeouts::Timeouts;
#[cfg(feature = "tls")]
pub use self::tls::{ClientCertificates, Password, Tls, TlsVersion};
pub use self::websocket::WebSocket;
#[cfg(feature = "cli")]
pub(crate) use self::{
    kind::Shape,
    process::MAX_THREADS,
    setting::{GROUPS, Setting, find, paragraphs},
};

pub(crate) use self::setting::Group;
use self::setting::all;
use crate::error::ServeError;

/// How the server listens, serves and stops.
///
/// A setting is a field of a group, such as `timeouts.keep_alive`, and has a method of `Config` that sets it.
///
/// ```
/// use std::time::Duration;
///
/// use callgate_server::Config;
/// use http::header::{HeaderValue, VARY};
///
/// let config = Config::new()
///     .port(0) // any free port
///     .timeout_keep_alive(Duration::from_secs(75))
///     .header((VARY, HeaderValue::from_static("accept")));
/// assert_eq!(config.timeouts.keep_alive.as_secs(), 75);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Where the server listens.
    pub listen: Listen,
    /// The process, and the life of the application in it.
    pub process: Process,
    /// TLS.
    #[cfg(feature = "tls")]
    pub tls: Tls,
    /// What a proxy in front of the server does.
    pub proxy: Proxy,
    /// HTTP in all its versions.
    pub http: Http,
    /// HTTP/1.0 and HTTP/1.1.
    pub http1: Http1,
    /// HTTP/2.
    #[cfg(feature = "http2")]
    pub http2: Http2,
    /// WebSockets.
    pub websocket: WebSocket,
    /// How long the server waits for a client or for the application.
    pub timeouts: Timeouts,
    /// What a client may ask of the server.
    pub limits: Limits,
    /// The log of the server.
    pub log: Log,
    /// What the server tells its operators and balancers about itself.
    pub admin: Admin,
}

/// Returns the table of settings, in the order in which a reader meets them.
fn groups() -> Vec<Group> {
    vec![
        Listen::group(),
        Process::group(),
        #[cfg(feature = "tls")]
        Tls::group(),
        Proxy::group(),
        Http::group(),
        Http1::group(),
        #[cfg(feature = "http2")]
        Http2::group(),
        WebSocket::group(),
        Timeouts::group(),
        Limits::group(),
        Log::group(),
        Admin::group(),
    ]
}

impl Config {
    /// Returns the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks that each value is one that a user could give, and that the values fit together.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        for (_, setting) in all() {
            let texts = (setting.show)(self);
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            (setting.check)(&texts).map_err(|wrong| ServeError::Setting {
                name: setting.name,
                remedy: wrong.remedy,
            })?;
        }
        #[cfg(feature = "tls")]
        self.tls.check(&self.listen)?;
        self.admin.check(&self.listen)?;
        self.process.check()?;
        self.listen.check()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use ::http::{HeaderName, HeaderValue, header};
    use tracing::level_filters::LevelFilter;

    use super::*;

    /// Asserts that a setting is refused, and why.
    fn assert_refused(config: &Config, name: &str, reason: &str) {
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn every_setting_has_a_name_of_its_own_and_a_default_that_reads_as_it_is_shown() {
        let mut names = HashSet::new();
        let defaults = Config::default();
        for (group, setting) in all() {
            assert!(names.insert(setting.name), "{}", setting.name);
            assert!(names.insert(&setting.variable), "{}", setting.variable);
            let path = format!("{}.{}", group.name, setting.key);
            let texts = (setting.show)(&defaults);
            let shown: Vec<_> = texts.iter().map(String::as_str).collect();
            let expected = match setting.default {
                "none" if texts.is_empty() => Vec::new(),
                text => setting.shape.split(text),
            };
            assert_eq!(shown, expected, "{path}");
            let mut config = Config::default();
            (setting.set)(&mut config, &shown).unwrap();
            assert_eq!(format!("{config:?}"), format!("{defaults:?}"), "{path}");
        }
        assert!(names.len() > 40);
    }

    #[test]
    fn every_setting_is_described_by_a_sentence_that_stands_alone() {
        for (_, setting) in all() {
            let mut lines = setting.doc.iter();
            let summary: String = lines
                .by_ref()
                .take_while(|line| !line.is_empty())
                .copied()
                .collect();
            assert!(summary.ends_with('.'), "{}: {summary}", setting.name);
            assert!(!summary.contains('['), "{}: no links", setting.name);
        }
    }

    #[test]
    fn a_field_that_the_server_sets_itself_is_refused() {
        for name in [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::UPGRADE,
        ] {
            let config = Config::new().header((name, HeaderValue::from_static("5")));
            assert_refused(&config, "header", "the server sets this one itself");
        }
    }

    #[test]
    fn values_out_of_their_range_are_refused() {
        #[cfg(feature = "http2")]
        {
            let config = Config::new().http2_max_concurrent_streams(0);
            assert_refused(&config, "http2_max_concurrent_streams", "from 1");
        }
        let config = Config::new().max_request_head(8191);
        assert_refused(&config, "max_request_head", "8192 or more");
        let config = Config::new().max_request_fields(0);
        assert_refused(&config, "max_request_fields", "from 1 to 24576");
        let config = Config::new().timeout_write(Duration::ZERO);
        assert_refused(&config, "timeout_write", "above 0");
    }

    #[test]
    fn values_that_a_user_cannot_write_are_no_mistakes() {
        let opaque = HeaderValue::from_bytes(b"\xff").unwrap();
        let config = Config::new()
            .header((HeaderName::from_static("x-opaque"), opaque))
            .timeout_keep_alive(Duration::MAX)
            .timeout_write(Duration::from_nanos(1))
            .log_level(LevelFilter::OFF);
        config.check().unwrap();
    }

    #[test]
    fn a_wrong_root_path_is_refused_for_what_is_wrong_with_it() {
        for (path, reason) in [
            ("api", "begins with `/`"),
            ("/a?b", "without `?` and `#`"),
            ("/a#b", "without `?` and `#`"),
            ("/a\nb", "without control characters"),
        ] {
            assert_refused(&Config::new().root_path(path.into()), "root_path", reason);
        }
        for path in ["", "/", "/api", "/api/", "/api/v 1"] {
            Config::new().root_path(path.into()).check().unwrap();
        }
    }
}
