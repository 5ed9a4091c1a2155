//! Rules for optional features. The documents are `features.md` and `tls.md`.

super::chapter! { FEATURE:
    NOT_OFFERED = "EXT-01" Application Must
        "An application MUST NOT use a feature that the scope does not offer.";
    NOT_OFFERED_FAILS = "EXT-02" Server Must
        "A server MUST fail the send of an event that needs a feature which it does not offer with `SendError::NotOffered`, and go on with the exchange as if the event had not been sent.";
    TRAILERS_ANNOUNCED = "EXT-03" Application Must
        "An application MUST send `http.response.trailers` after its last body event if it has set `trailers` in `http.response.start`, and only then.";
    TRAILERS_SENT = "EXT-04" Server Must
        "A server MUST send the trailer fields after the content and complete the response with them.";
    TRAILER_FIELDS = "EXT-05" Application Must
        "An application MUST NOT send as a trailer field a field of framing, routing, authentication, request modifiers, response control or content format, or a field that `HTTP-18` forbids.";
    TRAILERS_NAMED = "EXT-06" Application Must
        "An application MUST name each trailer field of an HTTP/1.1 response in its `trailer` field.";
    PATH_SEND_ABSOLUTE = "EXT-07" Application Must
        "An application MUST give the file of a path send as an absolute path.";
    PATH_SEND_FAILS = "EXT-08" Server Must
        "A server MUST fail a path send whose file cannot be opened with `SendError::File`, and go on with the exchange as if the event had not been sent.";
    PATH_SEND_IS_WHOLE = "EXT-09" Server Must
        "A server MUST send the complete file as the content of the response, and end the response with the end of the file.";
    PATH_SEND_ALONE = "EXT-10" Application Must
        "An application MUST NOT send body events and a path send in one response.";
    EARLY_HINTS_BEFORE_START = "EXT-11" Application Must
        "An application MUST NOT send early hints after it has started the response.";
    DENIAL_BEFORE_ACCEPT = "EXT-12" Application Must
        "An application MUST NOT deny a WebSocket that it has accepted.";
    DENIAL_IS_A_RESPONSE = "EXT-13" Application Must
        "An application that denies a WebSocket MUST keep the rules of an HTTP response, with `websocket.http.response.start` and `websocket.http.response.body` as its events, and over HTTP/2 without a 2xx status.";
    DENIAL_IS_SENT = "EXT-14" Server Must
        "A server MUST answer the handshake with the denial response as it would answer an HTTP request.";
    TRAILERS_OFFERED = "EXT-15" Server Must
        "A server MUST NOT offer `http.response.trailers` on an HTTP/1.0 exchange, nor on an HTTP/1.1 exchange whose client did not send `te: trailers`.";
    TRAILERS_WITHOUT_LENGTH = "EXT-16" Application Must
        "An application MUST NOT set `content-length` in an HTTP/1.1 response that trailer fields follow.";
    SHUTDOWN_IS_TOLD = "EXT-17" Server Must
        "A server that offers `http.shutdown` MUST yield the event, when the server begins to shut down, to an application that receives after the last `http.request` event while its response is incomplete.";
    SHUTDOWN_ONCE = "EXT-18" Server Must
        "A server MUST yield `http.shutdown` at most once on an exchange, after the last `http.request` event and before any `http.disconnect`, and only on an exchange on which it offers the feature.";
    SHUTDOWN_IS_NO_DISCONNECT = "EXT-19" Server Must
        "A server MUST treat the events that an application sends after `http.shutdown` like those sent before, until the time-out of the shutdown has passed.";
    SHUTDOWN_ENDS_RESPONSE = "EXT-20" Application Should
        "An application SHOULD end its response once it has received `http.shutdown`, without waiting for another event.";
    DEFLATE_OFFERED = "EXT-21" Server Must
        "A server MUST offer `websocket.permessage_deflate` on a WebSocket if it accepts an offer of permessage-deflate (RFC 7692) in the handshake's answer, and on no other WebSocket.";
    DEFLATE_NEGOTIATED = "EXT-22" Server Must
        "A server MUST accept no invalid offer of permessage-deflate, MUST answer the offer that it accepts with parameters which the offer permits, and MUST serve the WebSocket without compression when it accepts none.";
    DEFLATE_IS_TRANSPARENT = "EXT-23" Server Must
        "A server that has accepted permessage-deflate MUST yield each message inflated if it came compressed and as it came otherwise, and MUST send messages that inflate to those of the application.";
    DEFLATE_LIMIT = "EXT-24" Server Must
        "A server MUST apply the limit of `WS-17` to the inflated form of a compressed message, and stop inflating at the limit.";
    DEFLATE_ERRORS = "EXT-25" Server Must
        "A server that has accepted permessage-deflate MUST close with 1002 when the first reserved bit is set in a control frame or a continuation frame, and with 1007 when a message cannot be inflated, and yield `websocket.disconnect` with that code.";
    EARLY_HINTS_ARE_SENT = "EXT-26" Server Must
        "A server that offers early hints MUST send each of them to the client, as a `103 Early Hints` before the response.";
    TLS_ONLY_WHEN_SECURED = "TLS-01" Server Must
        "A server MUST offer `tls` on secured connections only.";
    TLS_VERSION = "TLS-02" Server Must
        "A server that offers `tls` MUST give the version and the cipher suite as the numbers used on the wire, or none when it does not know them.";
    TLS_CLIENT_CHAIN = "TLS-03" Server Must
        "A server that offers `tls` MUST give the client's certificates as PEM texts, the client's own first and each followed by its issuer.";
    TLS_CLIENT_ERROR = "TLS-04" Server Must
        "A server that offers `tls` MUST give the reason for which a client certificate was not accepted when it lets the connection in all the same.";
}
