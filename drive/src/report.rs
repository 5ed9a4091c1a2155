//! The log of calls: one line for each failure, with the request that failed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use callgate::{AppError, HttpScope, Violation, WebSocketScope};
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};

use crate::escape::{Escaped, EscapedInQuotes};

/// A request, as the log names it: `GET /path?query HTTP/1.1`.
///
/// The [`Display`](fmt::Display) form can stand between double quotes: characters of the target
/// that could deceive a reader of the log are escaped.
#[derive(Clone, Debug)]
pub struct RequestLine {
    /// `None` for a WebSocket.
    method: Option<Method>,
    target: Target,
    version: Version,
}

/// Path and query of a request.
///
/// A short target is copied. The copy costs less than a reference to the read buffer, and the
/// buffer can be reused while the call runs.
#[derive(Clone, Debug)]
enum Target {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(PathAndQuery),
}

/// The longest target that is copied, in bytes. The copy is as large as a reference to the read
/// buffer.
const SHORT: usize = 38;

impl Target {
    fn of(uri: &Uri) -> Self {
        let Some(target) = uri.path_and_query() else {
            return Self::Short {
                length: 0,
                bytes: [0; SHORT],
            };
        };
        let text = target.as_str().as_bytes();
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(copy), Ok(length)) => {
                copy.copy_from_slice(text);
                Self::Short { length, bytes }
            }
            _ => Self::Long(target.clone()),
        }
    }
}

impl Target {
    fn as_str(&self) -> &str {
        match self {
            Self::Short { length, bytes } => {
                let text = std::str::from_utf8(&bytes[..usize::from(*length)]);
                text.expect("copied from a str")
            }
            Self::Long(target) => target.as_str(),
        }
    }
}

impl RequestLine {
    /// Returns the request line of an HTTP request.
    #[must_use]
    pub fn of_http(scope: &HttpScope) -> Self {
        Self {
            method: Some(scope.method.clone()),
            target: Target::of(&scope.uri),
            version: scope.version,
        }
    }

    /// Returns the request line of a WebSocket handshake.
    #[must_use]
    pub fn of_websocket(scope: &WebSocketScope) -> Self {
        Self {
            method: None,
            target: Target::of(&scope.uri),
            version: scope.version,
        }
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_ref().map_or("WEBSOCKET", Method::as_str);
        let target = EscapedInQuotes(self.target.as_str());
        write!(f, "{method} {target} {:?}", self.version)
    }
}

/// How often each rule has been broken, by its ID.
static VIOLATIONS: Mutex<BTreeMap<&str, u64>> = Mutex::new(BTreeMap::new());

/// Returns the ID of each rule that an application of this process has broken, and how often.
#[must_use]
pub fn violations() -> Vec<(&'static str, u64)> {
    let counts = VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.iter().map(|(rule, count)| (*rule, *count)).collect()
}

fn count(violation: &Violation) {
    let mut counts = VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(violation.rule.id).or_default() += 1;
}

/// Logs that an application broke a rule, and counts it.
pub(crate) fn violation(request: &RequestLine, violation: &Violation) {
    count(violation);
    tracing::error!(
        rule = violation.rule.id,
        document = violation.rule.document_url(),
        "{request}: {}",
        Escaped(violation)
    );
}

/// Logs that an application failed, perhaps after it broke a rule.
pub(crate) fn failure(request: &RequestLine, error: &AppError, broken: Option<&Violation>) {
    match (error, broken) {
        (AppError::Send(error), Some(broken)) if error.rule() == Some(broken.rule) => {
            violation(request, broken);
        }
        (_, Some(broken)) => {
            count(broken);
            tracing::error!(
                rule = broken.rule.id,
                document = broken.rule.document_url(),
                "{request}: {} (after {})",
                Escaped(error),
                Escaped(broken)
            );
        }
        (_, None) => tracing::error!("{request}: {}", Escaped(error)),
    }
}

/// Logs that an application panicked.
pub(crate) fn panic(request: &RequestLine, message: &str) {
    tracing::error!("{request}: the application panicked: {}", Escaped(message));
}

/// Logs that an application does not serve this kind of scope, such as an HTTP-only application
/// that is called for a WebSocket. The level is that of a server's ordinary log, because the
/// developer of the refused client needs the line.
pub(crate) fn declined(request: &RequestLine) {
    tracing::info!("{request}: the application does not serve this kind of scope");
}

/// Logs that the rest of a file cannot be sent, so that its response is cut.
pub(crate) fn file_failed(path: &Path, error: &io::Error) {
    tracing::error!("{}: {error}", Escaped(path.display()));
}

/// Logs that a call was dropped, as it had not ended within the grace period after its client was
/// gone.
pub(crate) fn out_of_grace(request: &RequestLine) {
    tracing::warn!("{request}: dropped, as it went on for too long after its client was gone");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_names_the_whole_target_however_long() {
        for length in [1, SHORT - 1, SHORT, SHORT + 1, 300, 3000] {
            let target = format!("/{}", "x".repeat(length - 1));
            let scope = HttpScope::new(Method::GET, target.parse().unwrap());
            let line = RequestLine::of_http(&scope).to_string();
            assert_eq!(line, format!("GET {target} HTTP/1.1"));
        }
    }

    #[test]
    fn a_request_line_can_stand_between_quotes() {
        let short = "/a\u{202e}b\"c\\";
        let long = format!("{short}{}", "x".repeat(SHORT));
        for target in [short, &long] {
            let scope = HttpScope::new(Method::GET, target.parse().unwrap());
            let line = RequestLine::of_http(&scope).to_string();
            assert!(line.starts_with(r#"GET /a\u{202e}b\"c\\"#), "{line}");
        }
    }

    #[test]
    fn no_failure_of_an_application_can_forge_a_line_of_the_log() {
        const TEXT: &str = "lost\r\nINFO all is\u{2028} well";
        let request = RequestLine::of_http(&HttpScope::new(Method::GET, "/".parse().unwrap()));
        let broken = Violation::new(callgate::rule::NO_HANDSHAKE_HEADERS, TEXT);
        let (log, _guard) = crate::test_log::capture();
        violation(&request, &broken);
        failure(&request, &AppError::failed(TEXT), None);
        failure(&request, &AppError::failed(TEXT), Some(&broken));
        panic(&request, TEXT);
        let log = log.text();
        assert_eq!(log.lines().count(), 4, "{log}");
        for line in log.lines() {
            assert!(line.contains(r"lost\r\nINFO all is\u{2028} well"), "{line}");
        }
    }

    #[test]
    fn an_application_that_declines_is_logged_at_info() {
        let (log, _guard) = crate::test_log::capture();
        let scope = WebSocketScope::new("/socket".parse().unwrap());
        declined(&RequestLine::of_websocket(&scope));
        assert!(
            log.text().contains("WEBSOCKET /socket HTTP/1.1"),
            "{}",
            log.text()
        );
    }
}
