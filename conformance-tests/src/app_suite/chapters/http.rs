//! The rules of `http.md`: requests and responses.

use callgate::rule;

use crate::app_suite::case::{Case, NotPassed};
use crate::app_suite::output_comparison::{output_difference, outputs_match};
use crate::app_suite::scenario::Scenario;

const DOES: &str = "Makes requests with and without content, in HTTP/1.0, 1.1 and 2, and disconnects or stops reading before, between and after all events.";

fn is_selected(scenario: Scenario) -> bool {
    scenario.is_http() && scenario.is_ordinary()
}

pub(super) const CASES: &[Case] = &[
    Case::model(
        rule::START_FIRST,
        "start_first",
        DOES,
        "The application sends `http.response.start` before the first body event.",
        is_selected,
    ),
    Case::model(
        rule::START_ONCE,
        "start_once",
        DOES,
        "The application sends `http.response.start` once.",
        is_selected,
    ),
    Case::model(
        rule::NOTHING_AFTER_END,
        "nothing_after_end",
        DOES,
        "The application sends nothing after the last body event.",
        is_selected,
    ),
    Case::model(
        rule::FINAL_STATUS,
        "final_status",
        DOES,
        "The status is 200 to 599.",
        is_selected,
    ),
    Case::model(
        rule::NO_HOP_BY_HOP,
        "no_hop_by_hop",
        DOES,
        "The response has no header field of the connection.",
        is_selected,
    ),
    Case::model(
        rule::VALID_CONTENT_LENGTH,
        "valid_content_length",
        DOES,
        "`content-length` occurs once and is a decimal number.",
        is_selected,
    ),
    Case::model(
        rule::NOT_MORE_THAN_LENGTH,
        "not_more_than_length",
        DOES,
        "The content is not longer than `content-length`.",
        is_selected,
    ),
    Case::model(
        rule::NOT_LESS_THAN_LENGTH,
        "not_less_than_length",
        DOES,
        "The content is not shorter than `content-length`.",
        is_selected,
    ),
    Case::model(
        rule::NO_CONTENT_STATUS,
        "no_content_status",
        DOES,
        "A response with the status 204, 205 or 304 has no content.",
        is_selected,
    ),
    Case::model(
        rule::NO_LENGTH_WITH_204,
        "no_length_with_204",
        DOES,
        "A response with the status 204 has no `content-length`.",
        is_selected,
    ),
    Case::model(
        rule::START_BEFORE_RETURN,
        "start_before_return",
        DOES,
        "The call does not return `Ok` before the response is started.",
        is_selected,
    ),
    Case::model(
        rule::END_BEFORE_RETURN,
        "end_before_return",
        DOES,
        "The call does not return `Ok` before the response is complete.",
        is_selected,
    ),
    Case::steps(
        rule::RECEIVE_IN_ORDER,
        "content_in_one_event_or_in_many",
        "Sends the same content in one event, in many events of which some are empty, and in one event again.",
        "The response to many events is equal to the response to one event, if that response is the same both times.",
        |runner| {
            let mut failure = None;
            // A difference counts when it occurs twice: one may be random.
            for _ in 0..2 {
                let before = runner.run_again(Scenario::PostWhole)?;
                let split = runner.run_again(Scenario::PostSplit)?;
                let after = runner.run_again(Scenario::PostWhole)?;
                if before.is_declined() {
                    return Err(NotPassed::not_applicable("the application declines HTTP"));
                }
                if !before.is_successful() || !after.is_successful() {
                    return Err(NotPassed::not_applicable(
                        "the application does not complete its response to content",
                    ));
                }
                if !outputs_match(&before, &after) {
                    return Err(NotPassed::not_applicable(
                        "the responses to equal requests differ",
                    ));
                }
                let seen = match output_difference(&before, &split) {
                    Some(difference) => format!(
                        "{} for one event: {}; for many: {}",
                        difference.what, difference.first, difference.second
                    ),
                    None if !split.is_complete => {
                        "the response to many events was not completed".to_owned()
                    }
                    None => return Ok(()),
                };
                failure = Some(split.fail_beside(&before, seen));
            }
            failure.map_or(Ok(()), |failure| Err(failure.into()))
        },
    ),
];
