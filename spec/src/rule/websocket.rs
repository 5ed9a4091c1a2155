//! Rules for WebSockets. The document is `websocket.md`.

super::chapter! { WEBSOCKET:
    CONNECT_FIRST = "WS-01" Server Must
        "A server MUST yield `websocket.connect` as the first event of a WebSocket, and once.";
    HANDSHAKE_WAITS = "WS-02" Server Must
        "A server MUST NOT answer the handshake before the application has accepted, closed or denied it.";
    ACCEPT_FIRST = "WS-03" Application Must
        "An application MUST NOT send a message before it has accepted the WebSocket.";
    ACCEPT_ONCE = "WS-04" Application Must
        "An application MUST NOT accept a WebSocket more than once.";
    CLOSE_BEFORE_ACCEPT_IS_403 = "WS-05" Server Must
        "A server MUST answer the handshake with 403 when the application closes before it accepts.";
    OFFERED_SUBPROTOCOL = "WS-06" Application Must
        "An application MUST accept with a subprotocol that the client offered, or with none.";
    NO_HANDSHAKE_HEADERS = "WS-07" Application Must
        "An application MUST NOT set `sec-websocket-*` fields, `content-length`, or a field that `HTTP-18` forbids, when it accepts.";
    ANSWER_BEFORE_RETURN = "WS-08" Application Must
        "An application MUST NOT return successfully before it has accepted, closed or denied the WebSocket.";
    FAILURE_BEFORE_ACCEPT_IS_500 = "WS-09" Server Must
        "A server MUST answer the handshake with 500 when the call ends, or breaks a rule, before the application has accepted, closed or denied.";
    NOTHING_AFTER_CLOSE = "WS-10" Application Must
        "An application MUST NOT send an event after `websocket.close`, or after the end of a denial response.";
    VALID_CLOSE_CODE = "WS-11" Application Must
        "An application MUST close with a code that may be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999.";
    CLOSE_REASON_LENGTH = "WS-12" Application Must
        "An application MUST NOT give a close reason longer than 123 bytes.";
    MESSAGES_IN_ORDER = "WS-13" Server Must
        "A server MUST deliver messages whole, of the type they were sent with, and in order, in both directions.";
    FRAGMENTS_ARE_JOINED = "WS-14" Server Must
        "A server MUST deliver a fragmented message as one event.";
    PINGS_ARE_ANSWERED = "WS-15" Server Must
        "A server MUST answer each ping of the client itself, with the same payload, and not show pings and pongs to the application.";
    PING_TIMEOUT = "WS-16" Server Must
        "A server MUST close with 1011 when a client that was pinged neither answers, nor sends or takes anything else, within the configured time.";
    MESSAGE_TOO_BIG = "WS-17" Server Must
        "A server MUST close with 1009 when a message is larger than the configured limit, and yield `websocket.disconnect` with that code.";
    INVALID_UTF8 = "WS-18" Server Must
        "A server MUST close with 1007 when a text message is not UTF-8, and yield `websocket.disconnect` with that code.";
    PROTOCOL_ERROR = "WS-19" Server Must
        "A server MUST close with 1002 when the client breaks the framing of RFC 6455, and yield `websocket.disconnect` with that code.";
    DISCONNECT_CODE = "WS-20" Server Must
        "A server MUST yield `websocket.disconnect` with the code and reason of the client's close frame, 1005 when the frame has none, and 1006 when the connection was lost without one.";
    QUEUED_BEFORE_DISCONNECT = "WS-21" Server Must
        "A server MUST yield the messages that arrived before a disconnect before it yields the disconnect.";
    RETURN_CLOSES_1000 = "WS-22" Server Must
        "A server MUST close with 1000 when the call returns successfully after accepting and without closing.";
    FAILURE_CLOSES_1011 = "WS-23" Server Must
        "A server MUST close with 1011 when the call fails, or breaks a rule, after accepting.";
    CLOSE_CODE_KEPT = "WS-24" Server Must
        "A server MUST close with the code and reason that the application gave, and yield `websocket.disconnect` with the same code and reason when the application next receives.";
    BOUNDED_QUEUES = "WS-25" Server Must
        "A server MUST stop reading from the client while the messages that the application has not received reach its bound.";
    SHUTDOWN_CLOSES_1012 = "WS-26" Server Must
        "A server that shuts down MUST close every WebSocket with 1012 and yield `websocket.disconnect` with that code.";
    BAD_HANDSHAKE = "WS-27" Server Must
        "A server MUST answer a WebSocket handshake without a valid `sec-websocket-key` with 400, without calling the application.";
    UNSUPPORTED_WEBSOCKET_VERSION = "WS-28" Server Must
        "A server MUST answer a WebSocket handshake of another version than 13 with 426 and `sec-websocket-version: 13`, without calling the application.";
    EXTENDED_CONNECT = "WS-29" Server Must
        "A server that serves HTTP/2 MUST serve a WebSocket over extended CONNECT (RFC 8441) with the same scope and events as over HTTP/1.1.";
    DISCONNECT_BEFORE_ACCEPT = "WS-30" Server Must
        "A server MUST yield `websocket.disconnect` with 1006 when the client goes away before the handshake is answered.";
    OTHER_UPGRADES_ARE_HTTP = "WS-31" Server Must
        "A server MUST serve a request that asks to upgrade to anything but a WebSocket as the HTTP request that it also is.";
    SEND_IS_FLUSHED = "WS-32" Server Must
        "A server MUST send each message without waiting for the application to send another.";
    ACCEPT_HEADERS_KEPT = "WS-33" Server Must
        "A server MUST send the header fields and the subprotocol that the application accepts with in the handshake's answer.";
    SHUTDOWN_BEFORE_ACCEPT_IS_503 = "WS-34" Server Must
        "A server that shuts down MUST answer a handshake that the application has not answered with 503, and yield `websocket.disconnect` with 1012.";
}
