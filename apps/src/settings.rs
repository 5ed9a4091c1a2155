//! What the applications can be told.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use url::Url;

use crate::DatabaseUrl;

/// Settings of the applications: where their database and their upstream services are.
///
/// Each is a flag of `callgate run` and an environment variable. Secrets come from the environment
/// only, since everyone on a machine can read command lines.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Applications")]
#[non_exhaustive]
pub struct Settings {
    /// The database of `brands` and `brands-blocking`, with a table `brand`: sqlite:PATH, or
    /// postgres://USER:PASSWORD@HOST/NAME [default: one in memory]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// Where the service is that `dashboard` asks
    #[arg(long, env = "UPSTREAM_URL", value_name = "URL", value_parser = base_url)]
    pub upstream_url: Option<Url>,

    /// How long an answer of that service may take [default: 10]
    #[arg(long, env = "UPSTREAM_TIMEOUT", value_name = "SECONDS", value_parser = seconds)]
    pub upstream_timeout: Option<Duration>,

    /// Where the API of Autumn is, which `customers` asks with the token in AUTUMN_TOKEN [default: that
    /// of useautumn.com]
    #[arg(long, env = "AUTUMN_URL", value_name = "URL", value_parser = base_url)]
    pub autumn_url: Option<Url>,

    /// Where `items` logs who asks its blocking handler; nowhere by default
    #[arg(long, env = "ITEMS_LOG", value_name = "FILE")]
    pub items_log: Option<PathBuf>,

    /// The secret key for Autumn: `AUTUMN_TOKEN` in the environment.
    #[arg(skip = Token::from_env("AUTUMN_TOKEN"))]
    pub autumn_token: Option<Token>,

    /// Where the API of CloudBlue Connect is, its version included, which `chart` and `events` ask
    /// with the key in CONNECT_TOKEN
    #[arg(long, env = "CONNECT_URL", value_name = "URL", value_parser = base_url)]
    pub connect_url: Option<Url>,

    /// How long an answer of Connect may take [default: 10]
    #[arg(long, env = "CONNECT_TIMEOUT", value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Duration>,

    /// The service of Connect that has the variables of `events`: the ID of the extension
    #[arg(long, env = "CONNECT_SERVICE", value_name = "ID")]
    pub connect_service: Option<String>,

    /// The environment of that service, by its ID
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
    /// Those that the environment says.
    ///
    /// # Errors
    ///
    /// The exit status, after a line on standard error, if one is wrong.
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

/// A secret that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// This secret, without the white space around it.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// The one in this environment variable. An empty one is none.
    fn from_env(name: &str) -> Option<Self> {
        let token = std::env::var_os(name)?;
        let token = Self::new(&token.to_string_lossy());
        (!token.0.is_empty()).then_some(token)
    }

    /// The secret itself, for whom it is meant.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

// Each of these reads a value, or says what would be right.

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
        Err("give a URL without a name and a password, which would be shown")
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or("give a number of seconds above 0, such as 5 or 0.5")
}
