//! Settings of the applications.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use callgate_server::Monitoring;
use clap::builder::TypedValueParser;
use clap::{Arg, Command, Parser};
use url::Url;

use crate::{ChannelsUrl, DatabaseUrl};

/// Settings of the applications: where their database and their upstream services are.
///
/// Each setting is a flag of `callgate run` and an environment variable. Tokens come from the environment
/// only, because every user of a machine can read command lines. `--help` does not print the values of
/// URLs, which may hold a password.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Applications")]
#[non_exhaustive]
pub struct Settings {
    /// The channel layer of `counter` and `chat`: memory for one process, or redis://HOST:PORT for any
    /// number of them [default: memory]
    #[arg(
        long,
        env = "CALLGATE_CHANNELS",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub channels: Option<ChannelsUrl>,

    /// To which the applications add the readiness and the metrics of what they depend on.
    #[arg(skip)]
    pub monitoring: Monitoring,

    /// Whether an application around this one opens the channel layer.
    #[arg(skip)]
    pub(crate) layer_is_given: bool,

    /// The database of `brands` and `brands-blocking`, with a table `brand`: sqlite:PATH, or
    /// postgres://USER:PASSWORD@HOST/NAME [default: one in memory]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// The URL of the upstream service (a shop) that `dashboard` calls [default: a stand-in answers]
    #[arg(long, env = "UPSTREAM_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = BaseUrl)]
    pub upstream_url: Option<Url>,

    /// How long a response of that service may take [default: 10]
    #[arg(long, env = "UPSTREAM_TIMEOUT", value_name = "SECONDS", value_parser = seconds)]
    pub upstream_timeout: Option<Duration>,

    /// The URL of the API of a billing service (Autumn), which `customers` calls with the token in
    /// AUTUMN_TOKEN [default: with that token, useautumn.com; without it, a stand-in answers]
    #[arg(long, env = "AUTUMN_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = BaseUrl)]
    pub autumn_url: Option<Url>,

    /// The file to which the blocking handler of `items` writes a line for each request [default: none]
    #[arg(long, env = "ITEMS_LOG", value_name = "FILE")]
    pub items_log: Option<PathBuf>,

    /// The secret key for Autumn: `AUTUMN_TOKEN` in the environment.
    #[arg(skip = Token::from_env("AUTUMN_TOKEN"))]
    pub autumn_token: Option<Token>,

    /// The URL of the API of a marketplace for subscriptions (CloudBlue Connect), with its
    /// version, which `chart` and `events` call with the key in CONNECT_TOKEN [default: a stand-in answers]
    #[arg(long, env = "CONNECT_URL", hide_env_values = true, value_name = "URL")]
    #[arg(value_parser = BaseUrl)]
    pub connect_url: Option<Url>,

    /// How long a response of Connect may take [default: 10]
    #[arg(long, env = "CONNECT_TIMEOUT", value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Duration>,

    /// The ID of the service of Connect that holds the variables of `events`: that of the extension
    #[arg(long, env = "CONNECT_SERVICE", value_name = "ID")]
    pub connect_service: Option<String>,

    /// The ID of the environment of that service
    #[arg(long, env = "CONNECT_ENVIRONMENT", value_name = "ID")]
    pub connect_environment: Option<String>,

    /// The key for Connect: `CONNECT_TOKEN` in the environment.
    #[arg(skip = Token::from_env("CONNECT_TOKEN"))]
    pub connect_token: Option<Token>,

    /// How often the schedule of `events` runs [default: 3600]
    #[arg(long, env = "EVENTS_SCHEDULE", value_name = "SECONDS", value_parser = seconds)]
    pub events_schedule: Option<Duration>,
}

impl Settings {
    /// Returns the settings of the environment variables.
    ///
    /// # Errors
    ///
    /// Returns the exit status if a variable has a wrong value, which is a line on standard error
    /// then.
    pub fn from_env() -> Result<Self, ExitCode> {
        #[derive(Parser)]
        struct FromEnv {
            #[command(flatten)]
            settings: Settings,
        }
        let FromEnv { settings } = callgate_server::cli::parse_from(["callgate".into()])?;
        Ok(settings)
    }
}

/// A secret. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Creates a token from this text, without the white space around it.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// Returns the token in this environment variable; `None` if it is unset or empty.
    fn from_env(name: &str) -> Option<Self> {
        let token = std::env::var_os(name)?;
        let token = Self::new(&token.to_string_lossy());
        (!token.0.is_empty()).then_some(token)
    }

    /// Returns the secret itself, to be sent to the service that it is for.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Parses the URL of a service, to which paths are added.
///
/// A wrong URL may hold a password as well as a right one, so the error shows no more of it than what
/// follows the credentials.
#[derive(Clone, Debug)]
struct BaseUrl;

impl TypedValueParser for BaseUrl {
    type Value = Url;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Url, clap::Error> {
        let text = value.to_string_lossy();
        match base_url(&text) {
            Ok(url) => Ok(url),
            // clap makes the error from the text that it is given: here one without credentials.
            Err(reason) => {
                let fail = move |_: &str| Err::<Url, _>(reason);
                fail.parse_ref(command, arg, OsStr::new(&without_secrets(&text)))
            }
        }
    }
}

fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let url = url.ok_or("give an http or https URL, such as http://127.0.0.1:9000/api")?;
    if url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("give a URL without a user name and a password")
    }
}

/// Replaces the parts of a URL, or of what should be one, that may hold a secret: all that stands
/// before the host, and the query.
fn without_secrets(text: &str) -> String {
    let shown = match text.rsplit_once('@') {
        Some((_, shown)) => format!("...@{shown}"),
        None => text.to_owned(),
    };
    match shown.split_once(['?', '#']) {
        Some((shown, _)) => format!("{shown}?..."),
        None => shown,
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or("give a number of seconds above 0, such as 5 or 0.5")
}
