//! The rules of `lifespan.md`: start-up and shutdown.

use callgate::rule;

use crate::app_suite::case::Case;
use crate::app_suite::scenario::Scenario;

const DOES: &str = "Starts the application up and shuts it down immediately.";

fn is_selected(scenario: Scenario) -> bool {
    scenario == Scenario::Lifespan
}

pub(super) const CASES: &[Case] = &[
    Case::model(
        rule::STARTUP_IS_ANSWERED,
        "startup_is_answered",
        DOES,
        "The application answers `lifespan.startup` once.",
        is_selected,
    ),
    Case::model(
        rule::SHUTDOWN_IS_ANSWERED,
        "shutdown_is_answered",
        DOES,
        "The application answers `lifespan.shutdown` once.",
        is_selected,
    ),
    Case::model(
        rule::ANSWER_IN_TURN,
        "answer_in_turn",
        DOES,
        "The application does not answer shutdown before it receives `lifespan.shutdown`.",
        is_selected,
    ),
    Case::model(
        rule::STAY_UNTIL_SHUTDOWN,
        "stay_until_shutdown",
        DOES,
        "The call does not return before the application has answered `lifespan.shutdown`.",
        is_selected,
    ),
];
