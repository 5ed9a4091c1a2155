//! Rules for start-up and shutdown. The document is `lifespan.md`.

super::chapter! { LIFESPAN:
    LIFESPAN_ONCE = "LIFE-01" Server Must
        "A server MUST call the application with a lifespan scope exactly once, before any other call, unless it is configured not to.";
    STARTUP_FIRST = "LIFE-02" Server Must
        "A server MUST yield `lifespan.startup` as the first event, and once.";
    STARTUP_BEFORE_ACCEPT = "LIFE-03" Server Must
        "A server MUST NOT accept a connection before start-up is complete.";
    STARTUP_IS_ANSWERED = "LIFE-04" Application Must
        "An application that serves lifespan MUST answer `lifespan.startup` with `lifespan.startup.complete` or `lifespan.startup.failed`, once.";
    STARTUP_FAILED_STOPS = "LIFE-05" Server Must
        "A server MUST report the message of `lifespan.startup.failed` and stop with exit status 3, without accepting a connection.";
    STARTUP_ERROR_STOPS = "LIFE-06" Server Must
        "A server MUST stop with exit status 3, without accepting a connection, when the call ends, panics or breaks a rule before start-up is complete, except by declining.";
    DECLINED_LIFESPAN = "LIFE-07" Server Must
        "A server MUST serve without lifespan when the application declines it, unless it is configured to require it.";
    SHUTDOWN_LAST = "LIFE-08" Server Must
        "A server MUST yield `lifespan.shutdown` after the last exchange has ended, and once.";
    SHUTDOWN_IS_ANSWERED = "LIFE-09" Application Must
        "An application that serves lifespan MUST answer `lifespan.shutdown` with `lifespan.shutdown.complete` or `lifespan.shutdown.failed`, once.";
    SHUTDOWN_FAILED_IS_REPORTED = "LIFE-10" Server Must
        "A server MUST report the message of `lifespan.shutdown.failed`, or an error of the call after start-up, and stop with exit status 1.";
    EARLY_RETURN_KEEPS_SERVING = "LIFE-11" Server Must
        "A server MUST go on serving when the lifespan call ends between start-up and shutdown.";
    ANSWER_IN_TURN = "LIFE-12" Application Must
        "An application MUST NOT send `lifespan.shutdown.complete` or `lifespan.shutdown.failed` before it has received `lifespan.shutdown`.";
    SIGNAL_DURING_STARTUP = "LIFE-13" Server Must
        "A server that is asked to stop during start-up MUST stop without accepting a connection.";
    STAY_UNTIL_SHUTDOWN = "LIFE-14" Application Should
        "An application that serves lifespan SHOULD NOT return before it has answered `lifespan.shutdown`.";
    STATE_REACHES_SCOPES = "LIFE-15" Server Must
        "A server MUST take the state from `lifespan.startup.complete` and from nowhere else.";
    STOP_ON_ANSWER = "LIFE-16" Server Must
        "A server MUST stop once the application has answered `lifespan.shutdown`, without waiting for the call to return.";
}
