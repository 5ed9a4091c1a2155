//! Which checks count for an application of ASGI, and the sentences by which they do.

use callgate::rule::{self, Rule};
use callgate::{Feature, Features};

use super::scenario::Scenario;
use crate::basis::Basis::{self, CallgateOnly, Standard};
use crate::basis::Document::{AsgiCore, AsgiExtensions, AsgiHttp, AsgiLifespan, Rfc};
use crate::basis::{demands, recommends};
use crate::check::Check;

/// Returns the basis of a check of applications for those of ASGI: the sentences that demand the same of them, or why
/// only Callgate demands it.
///
/// A rule has one line. The checks of `CORE-02` differ: ASGI permits an exception at any time.
pub(crate) fn basis(check: &Check) -> Basis {
    if check.rule == rule::DECLINE_UNSUPPORTED && check.name == "before_anything_else" {
        return CallgateOnly("ASGI has an application decline by an exception at any time");
    }
    basis_of_rule(check.rule)
}

fn basis_of_rule(rule: &Rule) -> Basis {
    let row = RULES.iter().find(|(of, _)| *of == rule);
    row.expect("a test compares the table with the rules").1
}

/// The rules of applications, in the order of the documents.
const RULES: &[(&Rule, Basis)] = &[
    (
        rule::DECLINE_UNSUPPORTED,
        Standard(&[recommends(AsgiCore, "Protocol Specifications")]),
    ),
    (
        rule::FOREIGN_EVENT,
        Standard(&[
            demands(AsgiCore, "Protocol Specifications"),
            demands(AsgiCore, "Error Handling"),
        ]),
    ),
    (
        rule::END_AFTER_DISCONNECT,
        Standard(&[recommends(AsgiCore, "Overview")]),
    ),
    (
        rule::UNKNOWN_EVENT,
        CallgateOnly(
            "ASGI has an application raise an exception when it receives an event that it does not know",
        ),
    ),
    (rule::NO_PANIC, Standard(&[demands(AsgiCore, "Overview")])),
    (
        rule::CONCURRENT_CALLS,
        Standard(&[
            demands(AsgiCore, "Connection Scope"),
            demands(Rfc(9110), "3.3"),
        ]),
    ),
    (
        rule::BOUNDED_MEMORY,
        CallgateOnly(
            "ASGI does not bound the memory of an application, and the suite does not see that of its process",
        ),
    ),
    (
        rule::MOUNT,
        CallgateOnly(
            "ASGI words it alike, but the suite sees a mounted application only with a probe in it",
        ),
    ),
    (
        rule::START_FIRST,
        Standard(&[demands(AsgiHttp, "Response Start - send event")]),
    ),
    (
        rule::START_ONCE,
        Standard(&[demands(AsgiHttp, "Response Start - send event")]),
    ),
    (
        rule::NOTHING_AFTER_END,
        CallgateOnly("ASGI has the server ignore what is sent after the end of a response"),
    ),
    (
        rule::FINAL_STATUS,
        Standard(&[
            demands(AsgiHttp, "Response Start - send event"),
            demands(Rfc(9110), "15"),
        ]),
    ),
    (
        rule::NO_HOP_BY_HOP,
        CallgateOnly(
            "ASGI has the server ignore `transfer-encoding`, and forbids no other field of the connection",
        ),
    ),
    (
        rule::VALID_CONTENT_LENGTH,
        Standard(&[demands(Rfc(9110), "8.6")]),
    ),
    (
        rule::NOT_MORE_THAN_LENGTH,
        Standard(&[demands(Rfc(9110), "8.6")]),
    ),
    (
        rule::NOT_LESS_THAN_LENGTH,
        Standard(&[demands(Rfc(9110), "8.6")]),
    ),
    (
        rule::NO_CONTENT_STATUS,
        Standard(&[demands(Rfc(9110), "6.4.1"), demands(Rfc(9110), "15.3.6")]),
    ),
    (
        rule::NO_LENGTH_WITH_204,
        Standard(&[demands(Rfc(9110), "8.6")]),
    ),
    (
        rule::START_BEFORE_RETURN,
        Standard(&[demands(AsgiCore, "Connection Scope")]),
    ),
    (
        rule::END_BEFORE_RETURN,
        Standard(&[demands(AsgiHttp, "Response Start - send event")]),
    ),
    (
        rule::RECEIVE_IN_ORDER,
        Standard(&[demands(AsgiHttp, "Request - receive event")]),
    ),
    (
        rule::ACCEPT_FIRST,
        Standard(&[demands(AsgiHttp, "Connect - receive event")]),
    ),
    (
        rule::ACCEPT_ONCE,
        Standard(&[demands(AsgiHttp, "Accept - send event")]),
    ),
    (
        rule::OFFERED_SUBPROTOCOL,
        Standard(&[demands(Rfc(6455), "4.2.2")]),
    ),
    (
        rule::NO_HANDSHAKE_HEADERS,
        Standard(&[
            demands(AsgiHttp, "Accept - send event"),
            demands(Rfc(6455), "11.3"),
            demands(Rfc(9110), "8.6"),
        ]),
    ),
    (
        rule::ANSWER_BEFORE_RETURN,
        Standard(&[demands(AsgiHttp, "Connect - receive event")]),
    ),
    (
        rule::NOTHING_AFTER_CLOSE,
        CallgateOnly(
            "ASGI has the server answer what is sent after the end of a WebSocket as if the client were gone",
        ),
    ),
    (
        rule::VALID_CLOSE_CODE,
        Standard(&[demands(Rfc(6455), "7.4")]),
    ),
    (
        rule::CLOSE_REASON_LENGTH,
        Standard(&[demands(Rfc(6455), "5.5")]),
    ),
    (
        rule::STARTUP_IS_ANSWERED,
        Standard(&[demands(AsgiLifespan, "Startup Complete - send event")]),
    ),
    (
        rule::SHUTDOWN_IS_ANSWERED,
        Standard(&[demands(AsgiLifespan, "Shutdown Complete - send event")]),
    ),
    (
        rule::ANSWER_IN_TURN,
        Standard(&[demands(AsgiLifespan, "Shutdown Complete - send event")]),
    ),
    (
        rule::STAY_UNTIL_SHUTDOWN,
        Standard(&[recommends(AsgiLifespan, "Scope")]),
    ),
    (
        rule::NOT_OFFERED,
        Standard(&[demands(AsgiCore, "Extensions")]),
    ),
    (
        rule::TRAILERS_ANNOUNCED,
        Standard(&[demands(AsgiExtensions, "HTTP Trailers")]),
    ),
    (
        rule::TRAILER_FIELDS,
        Standard(&[demands(Rfc(9110), "6.5.1")]),
    ),
    (
        rule::TRAILERS_NAMED,
        Standard(&[
            demands(AsgiExtensions, "HTTP Trailers"),
            recommends(Rfc(9110), "6.6.2"),
        ]),
    ),
    (
        rule::PATH_SEND_ABSOLUTE,
        Standard(&[demands(AsgiExtensions, "Path Send")]),
    ),
    (
        rule::PATH_SEND_ALONE,
        Standard(&[demands(AsgiExtensions, "Path Send")]),
    ),
    (
        rule::EARLY_HINTS_BEFORE_START,
        CallgateOnly(
            "ASGI had early hints after the start of the response up to asgiref 3.12, and servers before it: they are not offered",
        ),
    ),
    (
        rule::DENIAL_BEFORE_ACCEPT,
        Standard(&[demands(AsgiExtensions, "Websocket Denial Response")]),
    ),
    (
        rule::DENIAL_IS_A_RESPONSE,
        Standard(&[demands(AsgiExtensions, "Websocket Denial Response")]),
    ),
    (
        rule::TRAILERS_WITHOUT_LENGTH,
        Standard(&[demands(Rfc(9112), "6.2")]),
    ),
    (
        rule::SHUTDOWN_ENDS_RESPONSE,
        CallgateOnly("ASGI has no `http.shutdown`"),
    ),
];

/// The features that ASGI shares and applications of ASGI are offered: not early hints, whose place has changed, nor
/// `http.response.debug`, whose values are objects of Python, nor what only Callgate has.
pub(super) fn shared(features: Features) -> Features {
    [
        Feature::EarlyHints,
        Feature::Debug,
        Feature::Shutdown,
        Feature::PerMessageDeflate,
    ]
    .into_iter()
    .fold(features, Features::without)
}

/// Returns whether a scenario is run with an application of ASGI: without events that ASGI does not have, and without
/// what is measured in the memory of this process.
pub(super) fn is_run(scenario: Scenario) -> bool {
    let has_unknown_event = scenario.has_unknown() && scenario != Scenario::UnknownScope;
    !has_unknown_event && !scenario.is_flood() && scenario != Scenario::GetWithShutdown
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::app_suite::{app_checks, app_rules};

    /// The README has a row for each rule: shared by these sentences, or not, for this reason.
    #[test]
    fn the_readme_has_the_table() {
        let mut table =
            "| Rule | ASGI | Sentences, or the reason |\n| --- | --- | --- |\n".to_owned();
        for (rule, basis) in RULES {
            let (is_shared, text) = match basis {
                Standard(cited) => {
                    let cited: Vec<_> = cited.iter().map(ToString::to_string).collect();
                    ("yes", cited.join("; "))
                }
                CallgateOnly(why) => ("no", (*why).to_owned()),
            };
            writeln!(table, "| `{}` | {is_shared} | {text} |", rule.id).unwrap();
        }
        assert!(include_str!("../../README.md").contains(&table), "{table}");
    }

    #[test]
    fn the_table_has_every_rule_of_applications_in_order() {
        let rules: Vec<_> = RULES.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(rules, app_rules().collect::<Vec<_>>());
    }

    #[test]
    fn the_check_that_differs_from_its_rule_exists() {
        let declines = app_checks().filter(|check| check.rule == rule::DECLINE_UNSUPPORTED);
        let differing: Vec<_> = declines
            .filter(|check| basis(check) != basis_of_rule(check.rule))
            .map(|check| check.name)
            .collect();
        assert_eq!(differing, ["before_anything_else"]);
    }
}
