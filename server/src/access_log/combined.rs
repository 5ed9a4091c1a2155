//! Lines in the combined format of Apache and nginx:
//! `192.0.2.1 - - [27/Nov/2026:14:05:00 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/8.5.0"`.

use std::fmt;

use callgate_drive::EscapedInQuotes;

use super::time::common_log;
use crate::record::{ExchangeRecord, Outcome};

pub(super) struct Combined<'a>(pub(super) &'a ExchangeRecord);

impl fmt::Display for Combined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        match record.client {
            Some(client) => write!(f, "{}", client.ip())?,
            None => f.write_str("-")?,
        }
        write!(f, " - - [{}] \"", common_log(record.time))?;
        match &record.request {
            Some(request) => write!(
                f,
                "{} {} {:?}",
                request.method,
                EscapedInQuotes(&request.target),
                request.version
            )?,
            None => f.write_str("-")?,
        }
        // nginx has 499 for a client that is gone before the response, and 000 without a response.
        let status = match (record.status, record.outcome) {
            (Some(status), _) => status.as_u16(),
            (None, Outcome::ClientGone) => 499,
            (None, _) => 0,
        };
        let request = record.request.as_ref();
        write!(
            f,
            "\" {status:03} {} \"{}\" \"{}\"",
            record.octets_out,
            Quoted(request.and_then(|request| request.referrer.as_deref())),
            Quoted(request.and_then(|request| request.user_agent.as_deref())),
        )
    }
}

/// A field between quotes; `-` for a field that the request does not have.
struct Quoted<'a>(Option<&'a str>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, "{}", EscapedInQuotes(text)),
            None => f.write_str("-"),
        }
    }
}
