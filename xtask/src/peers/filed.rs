//! Where the findings are reported: in this repository, or in public.

/// The directory of the reports, as RESULTS.md names it.
const REPORTS: &str = "reports";

/// What RESULTS.md says of a finding that is not reported.
const NOWHERE: &str = "not yet";

/// A finding that is reported.
struct Filed {
    servers: &'static [&'static str],
    /// The checks that show it, also over HTTP/2.
    checks: &'static [&'static str],
    /// The files of reports, and public issues such as `Kludex/uvicorn#1360`.
    at: &'static [&'static str],
}

/// The servers whose WebSockets are those of wsproto.
const WSPROTO: &[&str] = &["uvicorn-h11", "hypercorn", "anycorn"];

const GONE: &[&str] = &[
    "gone_while_waiting",
    "gone_while_started",
    "gone_while_streaming",
];

const FILED: &[Filed] = &[
    Filed {
        servers: &["uvicorn", "uvicorn-websockets"],
        checks: &["requests_without_one_host"],
        at: &["Kludex/uvicorn#3125"],
    },
    Filed {
        servers: &["uvicorn", "uvicorn-websockets", "uvicorn-zttp"],
        checks: &["a_streamed_response_to_http10"],
        at: &["Kludex/uvicorn#1360"],
    },
    Filed {
        servers: &["uvicorn-websockets"],
        checks: &["a_denial_response", "a_streamed_denial_response"],
        at: &["uvicorn-websockets-denial.md"],
    },
    Filed {
        servers: &["uvicorn-zttp"],
        checks: &[
            "a_request_without_content_ends",
            "gone_while_waiting",
            "gone_while_started",
            "gone_while_streaming",
        ],
        at: &["uvicorn-zttp-no-content.md"],
    },
    Filed {
        servers: &["uvicorn-zttp"],
        checks: &["every_octet_in_a_value"],
        at: &["zttp-tab.md"],
    },
    Filed {
        servers: &["uvicorn-zttp"],
        checks: &[
            "connect_comes_first",
            "the_handshake_waits",
            "close_before_accept",
            "messages_from_the_client",
            "messages_to_the_client",
            "a_fragmented_text",
            "a_fragmented_binary",
            "pings",
            "the_client_closes_with_a_code",
            "the_client_closes_without_a_code",
            "the_application_closes",
            "accepted_with_fields",
            "compression_that_the_client_does_not_offer",
            "compressed_messages_from_the_client",
            "compressed_messages_to_the_client",
        ],
        at: &["Kludex/zttp#277"],
    },
    Filed {
        servers: &["hypercorn", "anycorn"],
        checks: &["subprotocols"],
        at: &["python-hyper/wsproto#175"],
    },
    Filed {
        servers: WSPROTO,
        checks: &["invalid_offers"],
        at: &["wsproto-deflate-offer.md"],
    },
    Filed {
        servers: WSPROTO,
        checks: &["compressed_messages_from_the_client"],
        at: &["python-hyper/wsproto#205"],
    },
    Filed {
        servers: &["hypercorn"],
        checks: &[
            "the_client_closes_with_a_code",
            "the_client_closes_without_a_code",
        ],
        at: &["pgjones/hypercorn#127"],
    },
    Filed {
        servers: &["hypercorn", "anycorn"],
        checks: &["trailers"],
        at: &["hypercorn-trailers.md"],
    },
    Filed {
        servers: &["granian"],
        checks: &["the_version_of_http10"],
        at: &["granian-http-version.md"],
    },
    Filed {
        servers: &["granian", "hyper", "axum"],
        checks: &[
            "requests_without_one_host",
            "no_host",
            "two_hosts",
            "an_invalid_host",
        ],
        at: &["hyperium/hyper#3777", "hyperium/hyper#3857"],
    },
    Filed {
        servers: &["granian"],
        checks: &["head_of_a_whole_response", "head_of_a_streamed_response"],
        at: &["granian-head-http2.md"],
    },
    Filed {
        servers: &["granian"],
        checks: &["accepted_with_fields"],
        at: &["granian-accept-fields.md"],
    },
    Filed {
        servers: &["granian"],
        checks: &["a_streamed_denial_response"],
        at: &["granian-denial.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["the_fields_of_a_websocket"],
        at: &["daphne-websocket-fields.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["the_scheme_of_a_websocket"],
        at: &["django/daphne#538"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["requests_without_one_host"],
        at: &["twisted/twisted#12435"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["head_of_a_streamed_response"],
        at: &["daphne-head.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["a_date_by_default"],
        at: &["daphne-date.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["messages_to_the_client"],
        at: &["daphne-empty-text.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["the_client_closes_without_a_code"],
        at: &["daphne-disconnect-code.md"],
    },
    Filed {
        servers: &["daphne"],
        checks: &["the_application_closes"],
        at: &["django/daphne#374", "crossbario/autobahn-python#1642"],
    },
    Filed {
        servers: &["gunicorn"],
        checks: &["requests_without_one_host"],
        at: &["gunicorn-host.md"],
    },
    Filed {
        servers: &["gunicorn"],
        checks: &["subprotocols"],
        at: &["gunicorn-subprotocols.md"],
    },
    Filed {
        servers: &["gunicorn"],
        checks: &["every_octet_in_a_value"],
        at: &["gunicorn-http2-octets.md"],
    },
    Filed {
        servers: &["h2corn"],
        checks: GONE,
        at: &["h2corn-disconnect.md"],
    },
    Filed {
        servers: &["h2corn"],
        checks: &[
            "a_space_in_a_field_name",
            "a_space_before_the_colon",
            "a_field_without_a_colon",
            "a_field_without_a_name",
            "a_length_that_is_no_number",
            "a_length_with_a_sign",
            "two_lengths",
            "two_lengths_in_one_field",
        ],
        at: &["h2corn-close-notify.md"],
    },
    Filed {
        servers: &["h2corn"],
        checks: &[
            "a_fragmented_text",
            "a_fragmented_binary",
            "compressed_messages_from_the_client",
        ],
        at: &["h2corn-fragments.md"],
    },
    Filed {
        servers: &["peregrine"],
        checks: GONE,
        at: &["peregrine-disconnect.md"],
    },
    Filed {
        servers: &["peregrine"],
        checks: &["no_key"],
        at: &["peregrine-websocket-key.md"],
    },
    Filed {
        servers: &["peregrine"],
        checks: &[
            "lifespan_comes_first_and_once",
            "startup_comes_first",
            "shutdown_waits_for_responses",
        ],
        at: &["peregrine-lifespan.md"],
    },
    Filed {
        servers: &["weft"],
        checks: &["content_of_100_kilobytes", "messages_from_the_client"],
        at: &["weft-tls-content.md"],
    },
    Filed {
        servers: &["weft"],
        checks: &["no_key"],
        at: &["weft-websocket-key.md"],
    },
    Filed {
        servers: &["weft"],
        checks: &[
            "lifespan_comes_first_and_once",
            "startup_comes_first",
            "shutdown_waits_for_responses",
        ],
        at: &["weft-lifespan.md"],
    },
    Filed {
        servers: &["hyper"],
        checks: &["head_without_content"],
        at: &["hyper-head-http2.md"],
    },
    Filed {
        servers: &["actix-web"],
        checks: &["a_target_that_is_long"],
        at: &["actix-long-target.md"],
    },
    Filed {
        servers: &["actix-web"],
        checks: &["an_invalid_host"],
        at: &["actix-host.md"],
    },
    Filed {
        servers: &["actix-web"],
        checks: &["no_chunks_to_http10"],
        at: &["actix-http10-chunked.md"],
    },
    Filed {
        servers: &["actix-web"],
        checks: &["nothing_is_answered_after_close"],
        at: &["actix-after-close.md"],
    },
    Filed {
        servers: &["nginx"],
        checks: &["a_line_without_a_colon"],
        at: &["nginx/nginx#1499"],
    },
];

/// Returns where it is reported that a server fails a check, for a cell of a table.
pub(super) fn at(server: &str, check: &str) -> String {
    let check = check.strip_suffix("_over_http2").unwrap_or(check);
    let filed = FILED
        .iter()
        .find(|filed| filed.servers.contains(&server) && filed.checks.contains(&check));
    let Some(filed) = filed else {
        return NOWHERE.to_owned();
    };
    let places = filed.at.iter().map(|at| match is_report(at) {
        true => format!("[{at}]({REPORTS}/{at})"),
        false => (*at).to_owned(),
    });
    places.collect::<Vec<_>>().join(", ")
}

/// Returns whether this is a report of the repository, not a public issue.
fn is_report(at: &str) -> bool {
    !at.contains('#')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::super::RESULTS;
    use super::*;
    use crate::step::root;

    /// Returns a file beside RESULTS.md.
    fn beside_results(name: &str) -> String {
        let path = root().join(RESULTS).with_file_name(name);
        fs::read_to_string(&path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
    }

    #[test]
    fn a_finding_over_http2_is_reported_where_that_over_http11_is() {
        let report = "[gunicorn-http2-octets.md](reports/gunicorn-http2-octets.md)";
        assert_eq!(at("gunicorn", "every_octet_in_a_value_over_http2"), report);
        let issues = "hyperium/hyper#3777, hyperium/hyper#3857";
        assert_eq!(at("axum", "no_host"), issues);
        assert_eq!(at("axum", "head_without_content"), NOWHERE);
    }

    #[test]
    fn every_finding_of_the_results_is_reported() {
        let results = beside_results("RESULTS.md");
        let unreported: Vec<_> = results
            .lines()
            .filter(|line| line.contains(&format!("| {NOWHERE} |")))
            .collect();
        assert!(unreported.is_empty(), "{unreported:#?}");
    }

    #[test]
    fn the_list_of_reports_names_every_report_and_every_issue() {
        let list = beside_results(&format!("{REPORTS}/README.md"));
        for at in FILED.iter().flat_map(|filed| filed.at) {
            assert!(list.contains(at), "{at}");
        }
        let directory = root().join(RESULTS).with_file_name(REPORTS);
        let files = fs::read_dir(directory).unwrap();
        let files: BTreeSet<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        for file in &files {
            assert!(list.contains(&format!("]({file})")), "{file}");
        }
        for at in FILED.iter().flat_map(|filed| filed.at) {
            assert!(!is_report(at) || files.contains(*at), "{at}");
        }
    }
}
