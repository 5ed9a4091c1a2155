//! Servers that break the rules checked in `cases/http_fields.rs`.

use callgate::SendEvent;
use http::HeaderValue;

use super::{mutants, with_changed_events};
use crate::in_process::InProcess;

mutants! {
    http_37_repeated_fields_are_joined: RESPONSE_HEADERS_KEPT [
        "repeated_fields",
        "repeated_fields_over_http2",
    ],
    http_38_no_server_field_is_added: DEFAULT_HEADERS ["a_server_by_default"],
}

fn http_37_repeated_fields_are_joined() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::HttpResponseStart(start) = event {
            let cookies: Vec<_> = start
                .headers
                .get_all("set-cookie")
                .iter()
                .map(HeaderValue::as_bytes)
                .collect();
            if cookies.len() > 1 {
                let joined = HeaderValue::from_bytes(&cookies.join(&b", "[..])).unwrap();
                start.headers.insert("set-cookie", joined);
            }
        }
    })
}

fn http_38_no_server_field_is_added() -> InProcess {
    InProcess {
        config: Some(|config| config.http.server_header = false),
        ..InProcess::default()
    }
}
