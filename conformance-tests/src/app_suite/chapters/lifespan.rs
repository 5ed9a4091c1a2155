//! Start-up and shutdown: the rules of `lifespan.md`.

use callgate::rule;

use crate::app_suite::case::{Case, keeps};
use crate::app_suite::play::Play;

const DOES: &str = "Starts the application up, and shuts it down as soon as it is up.";
const LIFE: &[Play] = &[Play::Life];

pub(super) const CASES: &[Case] = &[
    keeps(
        rule::STARTUP_IS_ANSWERED,
        "startup_is_answered",
        DOES,
        "`lifespan.startup` is answered once.",
        LIFE,
    ),
    keeps(
        rule::SHUTDOWN_IS_ANSWERED,
        "shutdown_is_answered",
        DOES,
        "`lifespan.shutdown` is answered once.",
        LIFE,
    ),
    keeps(
        rule::ANSWER_IN_TURN,
        "answer_in_turn",
        DOES,
        "Shutdown is not answered before `lifespan.shutdown` is received.",
        LIFE,
    ),
    keeps(
        rule::STAY_UNTIL_SHUTDOWN,
        "stay_until_shutdown",
        DOES,
        "The call does not return before `lifespan.shutdown` is answered.",
        LIFE,
    ),
];
