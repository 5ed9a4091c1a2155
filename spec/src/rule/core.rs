//! Rules for every kind of scope. The document is `overview.md`.

super::chapter! { CORE:
    ONE_CALL = "CORE-01" Server Must
        "A server MUST call the application exactly once for each exchange, with a scope of that exchange's kind.";
    DECLINE_UNSUPPORTED = "CORE-02" Application Must
        "An application MUST return `AppError::Unsupported`, before it receives or sends anything, for a kind of scope that it does not serve.";
    SEND_AFTER_DISCONNECT = "CORE-03" Server Must
        "A server MUST fail every send with `SendError::Disconnected` once the client is gone, unless the application has already ended the exchange or broken a rule.";
    SEND_VIOLATION = "CORE-04" Server Must
        "A server MUST fail a send that breaks a rule with that rule, and MUST NOT deliver the event.";
    VIOLATION_IS_FINAL = "CORE-05" Server Must
        "A server MUST fail every send after one that broke a rule with that same rule, until the call returns.";
    FOREIGN_EVENT = "CORE-06" Application Must
        "An application MUST NOT send an event of another kind of scope than its own.";
    CONCURRENT_SENDS = "CORE-07" Server Must
        "A server MUST deliver the events of concurrent sends one after the other, each whole, and those of one task in the order in which the task sent them.";
    BACKPRESSURE = "CORE-08" Server Must
        "A server MUST leave a send pending while it already holds as much undelivered output of the exchange as its bound allows.";
    NO_CANCELLATION = "CORE-09" Server Must
        "A server MUST NOT drop the future of an application because its client is gone before the grace period has passed.";
    DISCONNECT_IS_NO_FAILURE = "CORE-10" Server Must
        "A server MUST NOT report a call that returned `SendError::Disconnected` as a failure.";
    RETURN_ENDS_SENDING = "CORE-11" Server Must
        "A server MUST fail every send made after the call of the application has returned with `SendError::Disconnected`.";
    DISCONNECT_REPEATS = "CORE-12" Server Must
        "A server MUST yield the disconnect event again, at once, each time an application receives after the disconnect event was yielded.";
    END_AFTER_DISCONNECT = "CORE-13" Application Should
        "An application SHOULD return soon after it has been notified of a disconnect.";
    GRACE_PERIOD_ENDS = "CORE-14" Server Must
        "A server MUST drop the future of an application that is still running when the grace period after a disconnect has passed, unless the application had sent its last event.";
    PANIC_IS_CONTAINED = "CORE-15" Server Must
        "A server MUST catch a panic of the application at its exchange and go on serving all others.";
    FAILURE_IS_REPORTED = "CORE-16" Server Should
        "A server SHOULD report each failed call once, with the request and, if the call broke a rule, with that rule.";
    DECLINED_IS_501 = "CORE-17" Server Must
        "A server MUST answer an HTTP request or a WebSocket handshake that the application declines with 501.";
    UNKNOWN_EVENT = "CORE-18" Application Must
        "An application MUST ignore a received event that it does not know.";
    NO_PANIC = "CORE-19" Application Must
        "An application MUST NOT panic, whatever it receives.";
    CONCURRENT_CALLS = "CORE-20" Application Must
        "An application MUST serve exchanges that run at the same time independently of each other.";
    VIOLATION_IS_A_DISCONNECT = "CORE-21" Server Must
        "A server MUST yield the disconnect event, and begin the grace period, when the application breaks a rule before its last event.";
    BOUNDED_MEMORY = "CORE-22" Application Should
        "An application SHOULD bound the memory that one exchange takes, however much the client sends and however little the client reads.";
}
