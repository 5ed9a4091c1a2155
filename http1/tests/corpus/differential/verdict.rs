//! What an implementation makes of the octets of a connection.

use std::fmt;

use callgate_http1::Persistence;
use serde::Deserialize;

use crate::entry::Entry;
use crate::reading::{self, read_pieces};

/// What an implementation makes of the octets of a connection.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) requests: Vec<Request>,
    pub(crate) end: End,
}

/// A request. In texts, each character is an octet.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) content: String,
    pub(crate) trailers: Vec<String>,
    pub(crate) is_complete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum End {
    /// More octets are waited for.
    Waits,
    /// The connection closes behind the last request.
    Closes,
    /// No more is compared, since the connection changes its protocol.
    Stops,
    /// A head is refused with this status.
    Refuses(u16),
    /// A head is refused without a response.
    RefusesSilently,
    /// The content of the last request is refused.
    RefusesContent,
}

impl Verdict {
    /// Reads the entry with this crate.
    pub(crate) fn ours(entry: &Entry) -> Self {
        let config = entry.settings.config();
        let reading = read_pieces(&config, entry.stop_after, [&entry.input()[..]]);
        let closes = reading
            .requests
            .iter()
            .position(|request| request.is_complete && request.persistence == Persistence::Close);
        let count = closes.map_or(reading.requests.len(), |at| at + 1);
        let requests: Vec<_> = reading.requests[..count]
            .iter()
            .map(Request::ours)
            .collect();
        let is_in_content = requests.last().is_some_and(|request| !request.is_complete);
        let end = match reading.end {
            reading::End::Stopped => End::Stops,
            _ if closes.is_some() => End::Closes,
            reading::End::Refused(_) if is_in_content => End::RefusesContent,
            reading::End::Refused(error) => End::Refuses(error.status().as_u16()),
            _ => End::Waits,
        };
        Self { requests, end }
    }

    /// Leaves away what is behind a change of the protocol.
    pub(crate) fn until(mut self, stop_after: Option<usize>, ours: &Self) -> Self {
        if let Some(count) = stop_after
            && self.requests.len() >= count
            && ours.end == End::Stops
        {
            self.requests.truncate(count);
            self.end = End::Stops;
        }
        self
    }
}

impl Request {
    fn ours(request: &reading::Request) -> Self {
        Self {
            method: request.method.clone(),
            target: request.target.clone(),
            content: request.content.clone(),
            trailers: request.trailers.clone(),
            is_complete: request.is_complete,
        }
    }
}

/// Writes the verdict in one line, as it is listed.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for request in &self.requests {
            let Request {
                method,
                target,
                content,
                ..
            } = request;
            write!(f, "{method} {}", target.escape_default())?;
            if !content.is_empty() {
                write!(f, " with '{}'", content.escape_default())?;
            }
            if !request.trailers.is_empty() {
                let trailers = request.trailers.join(", ");
                write!(f, " and '{}'", trailers.escape_default())?;
            }
            if !request.is_complete {
                f.write_str(", incomplete")?;
            }
            f.write_str("; ")?;
        }
        match self.end {
            End::Waits => f.write_str("waits"),
            End::Closes => f.write_str("closes"),
            End::Stops => f.write_str("stops"),
            End::Refuses(status) => write!(f, "refuses with {status}"),
            End::RefusesSilently => f.write_str("refuses without a response"),
            End::RefusesContent => f.write_str("refuses the content"),
        }
    }
}
