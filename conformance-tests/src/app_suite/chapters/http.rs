//! HTTP requests and responses: the rules of `http.md`.

use callgate::rule;

use crate::Verdict;
use crate::app_suite::case::{Case, judged, keeps, not_applicable};
use crate::app_suite::compare::{answers_agree, difference};
use crate::app_suite::play::Play;
use crate::app_suite::stage::{Reason, Stage};

/// What the client does in nearly every check here.
const DOES: &str = "Makes requests with and without content, in HTTP/1.0, 1.1 and 2, and goes away or stops reading before, between and after all events.";

pub(super) const CASES: &[Case] = &[
    keeps(
        rule::START_FIRST,
        "start_first",
        DOES,
        "`http.response.start` comes before the first body event.",
        Play::HTTP,
    ),
    keeps(
        rule::START_ONCE,
        "start_once",
        DOES,
        "`http.response.start` comes once.",
        Play::HTTP,
    ),
    keeps(
        rule::NOTHING_AFTER_END,
        "nothing_after_end",
        DOES,
        "Nothing comes after the last body event.",
        Play::HTTP,
    ),
    keeps(
        rule::FINAL_STATUS,
        "final_status",
        DOES,
        "The status is 200 to 599.",
        Play::HTTP,
    ),
    keeps(
        rule::NO_HOP_BY_HOP,
        "no_hop_by_hop",
        DOES,
        "No field of the response belongs to the connection.",
        Play::HTTP,
    ),
    keeps(
        rule::VALID_CONTENT_LENGTH,
        "valid_content_length",
        DOES,
        "`content-length` is a decimal number, once.",
        Play::HTTP,
    ),
    keeps(
        rule::NOT_MORE_THAN_LENGTH,
        "not_more_than_length",
        DOES,
        "There is no more content than `content-length` says.",
        Play::HTTP,
    ),
    keeps(
        rule::NOT_LESS_THAN_LENGTH,
        "not_less_than_length",
        DOES,
        "There is no less content than `content-length` says.",
        Play::HTTP,
    ),
    keeps(
        rule::NO_CONTENT_STATUS,
        "no_content_status",
        DOES,
        "A response with the status 204, 205 or 304 has no content.",
        Play::HTTP,
    ),
    keeps(
        rule::NO_LENGTH_WITH_204,
        "no_length_with_204",
        DOES,
        "A response with the status 204 has no `content-length`.",
        Play::HTTP,
    ),
    keeps(
        rule::START_BEFORE_RETURN,
        "start_before_return",
        DOES,
        "The call does not return successfully before the response is started.",
        Play::HTTP,
    ),
    keeps(
        rule::END_BEFORE_RETURN,
        "end_before_return",
        DOES,
        "The call does not return successfully before the response is whole.",
        Play::HTTP,
    ),
    judged(
        rule::RECEIVE_IN_ORDER,
        "content_in_one_event_or_in_many",
        "Sends the same content in one event, in many of which some are empty, and in one again.",
        "The answer is the same each time, if the first and the last are the same.",
        division,
    ),
];

fn division(stage: &mut Stage) -> Result<Verdict, Reason> {
    let mut failure = None;
    // Once could be chance.
    for _ in 0..2 {
        let play = |stage: &mut Stage, play| {
            let plan = stage.plan(|make| make.plan(play))?;
            stage.play(plan)
        };
        let before = play(stage, Play::Whole)?;
        let split = play(stage, Play::Split)?;
        let after = play(stage, Play::Whole)?;
        if before.is_declined() {
            return Ok(not_applicable("the application declines HTTP"));
        }
        if !before.is_well() || !after.is_well() {
            return Ok(not_applicable("it does not complete its answer to content"));
        }
        if !answers_agree(&before, &after) {
            return Ok(not_applicable(
                "its answers differ from one time to the next",
            ));
        }
        let seen = match difference(&before, &split) {
            Some(difference) => format!(
                "{} for one event: {}; for many: {}",
                difference.what, difference.one, difference.other
            ),
            None if !split.is_complete => "the answer to many events was not completed".to_owned(),
            None => return Ok(Verdict::Passed),
        };
        failure = Some(split.fail_beside(&before, seen));
    }
    Ok(failure.map_or(Verdict::Passed, Verdict::from))
}
