//! Rules for HTTP requests and responses. The document is `http.md`.

super::chapter! { HTTP:
    REQUEST_BODY = "HTTP-01" Server Must
        "A server MUST deliver the request's content in order as `http.request` events, with `more_body` set on all but the last.";
    EMPTY_REQUEST_BODY = "HTTP-02" Server Must
        "A server MUST deliver a request without content as one `http.request` event with an empty body and `more_body` unset.";
    REQUEST_BODY_STREAMS = "HTTP-03" Server Must
        "A server MUST deliver content as it arrives, without waiting for the rest of the body.";
    REQUEST_BACKPRESSURE = "HTTP-04" Server Must
        "A server MUST NOT take in more than a bounded amount of content that the application has not received.";
    TRANSFER_CODING_REMOVED = "HTTP-05" Server Must
        "A server MUST deliver content without its transfer coding.";
    REQUEST_TRAILERS = "HTTP-06" Server Must
        "A server MUST deliver the trailer fields of a request, except those that `EXT-05` forbids, with its last `http.request` event.";
    NO_SHORT_BODY = "HTTP-07" Server Must
        "A server MUST deliver `http.disconnect`, never an event with `more_body` unset, when the request's content ends before it is complete.";
    RECEIVE_AFTER_BODY = "HTTP-08" Server Must
        "A server MUST yield nothing but `http.shutdown` after the last `http.request` event until the client is gone, the response is complete or a rule has been broken, and then `http.disconnect`.";
    DISCONNECT_IS_TOLD = "HTTP-09" Server Must
        "A server MUST yield `http.disconnect` to an application that waits to receive when the client goes away.";
    CONTINUE_ON_RECEIVE = "HTTP-10" Server Must
        "A server MUST send `100 Continue` to an HTTP/1.1 client that expects it when the application first receives, and not earlier.";
    NO_CONTINUE_WITHOUT_RECEIVE = "HTTP-11" Server Must
        "A server MUST NOT send `100 Continue` when the application answers without receiving.";
    HALF_CLOSE = "HTTP-12" Server Must
        "A server MUST treat a client that closes its sending side before the response is complete as gone when the response has made no progress for a limited time.";
    MALFORMED_CONTENT = "HTTP-13" Server Must
        "A server MUST answer content that is malformed with 400 and close the connection when no response has been sent yet.";
    START_FIRST = "HTTP-14" Application Must
        "An application MUST send `http.response.start` before any body event.";
    START_ONCE = "HTTP-15" Application Must
        "An application MUST NOT send `http.response.start` more than once.";
    NOTHING_AFTER_END = "HTTP-16" Application Must
        "An application MUST NOT send an event after the one that ends the response.";
    FINAL_STATUS = "HTTP-17" Application Must
        "An application MUST start a response with a final status, 200 to 599.";
    NO_HOP_BY_HOP = "HTTP-18" Application Must
        "An application MUST NOT set the fields `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding` or `upgrade`.";
    VALID_CONTENT_LENGTH = "HTTP-19" Application Must
        "An application MUST NOT set `content-length` more than once, or to anything but a decimal number.";
    NOT_MORE_THAN_LENGTH = "HTTP-20" Application Must
        "An application MUST NOT send more content than its `content-length` says.";
    NOT_LESS_THAN_LENGTH = "HTTP-21" Application Must
        "An application MUST NOT end a response with less content than its `content-length` says, unless the request was HEAD or the status is 304.";
    NO_CONTENT_STATUS = "HTTP-22" Application Must
        "An application MUST NOT send content with the status 204, 205 or 304.";
    NO_LENGTH_WITH_204 = "HTTP-23" Application Must
        "An application MUST NOT set `content-length` with the status 204.";
    HEAD_HAS_NO_BODY = "HTTP-24" Server Must
        "A server MUST discard the content of a response to HEAD and keep its header fields.";
    START_IS_HELD = "HTTP-25" Server Must
        "A server MUST NOT send anything of a response before its first body event or path send.";
    WHOLE_RESPONSE_IS_SIZED = "HTTP-26" Server Must
        "A server MUST send a response whose first body event is its last with a `content-length` and without a transfer coding, unless the request was HEAD, the status is 204 or 304, or trailer fields follow.";
    STREAMED_FRAMING = "HTTP-27" Server Must
        "A server MUST frame a streamed response without a `content-length` so that the client can recognise its end: chunked in HTTP/1.1, by DATA frames in HTTP/2, by closing the connection in HTTP/1.0.";
    EMPTY_BODY_FLUSHES_HEAD = "HTTP-28" Server Must
        "A server MUST send the head of a response at once when its first body event is empty and has `more_body` set.";
    EVENTS_ARE_NOT_HELD = "HTTP-29" Server Must
        "A server MUST send the content of each body event without waiting for the next.";
    START_BEFORE_RETURN = "HTTP-30" Application Must
        "An application MUST NOT return successfully before it has started a response.";
    END_BEFORE_RETURN = "HTTP-31" Application Must
        "An application MUST NOT return successfully before it has ended the response that it started.";
    FAILURE_BEFORE_SENDING_IS_500 = "HTTP-32" Server Must
        "A server MUST answer with 500 when the call ends without a complete response, except by declining, or breaks a rule, before anything of the response has been sent.";
    FAILURE_AFTER_SENDING_RESETS = "HTTP-33" Server Must
        "A server MUST cut the HTTP/1 connection without completing the message, or reset the HTTP/2 stream, when the call ends, or breaks a rule, after part of the response has been sent and before the complete response has been sent.";
    FAILURE_IS_NOT_REVEALED = "HTTP-34" Server Must
        "A server MUST NOT reveal to the client why the application failed.";
    BACKGROUND_WORK = "HTTP-35" Server Must
        "A server MUST complete the response, and go on with the connection, without waiting for an application that still works after its last event.";
    BACKGROUND_WORK_IS_AWAITED = "HTTP-36" Server Must
        "A server that shuts down MUST wait for applications that still work after their last event, until the time-out of the shutdown has passed.";
    RESPONSE_HEADERS_KEPT = "HTTP-37" Server Must
        "A server MUST send the application's header fields as they are, repeated ones separately and in order.";
    DEFAULT_HEADERS = "HTTP-38" Server Should
        "A server SHOULD add `date` and `server` unless the application has set them.";
    PIPELINING = "HTTP-39" Server Must
        "A server MUST answer pipelined requests in the order in which they came.";
    MALFORMED_REQUEST = "HTTP-40" Server Must
        "A server MUST answer a request head that is malformed with 400 and close the connection, or in HTTP/2 reset the stream or end the connection, without calling the application.";
    OVERSIZED_HEAD = "HTTP-41" Server Must
        "A server MUST answer a request head that is larger than its limit with 431, or with 414 when the target alone is too long, or in HTTP/2 end the connection, without calling the application.";
    UNSUPPORTED_VERSION = "HTTP-42" Server Must
        "A server MUST answer a request of an HTTP version that it does not serve with 505 and close the connection, without calling the application.";
    CONFLICTING_LENGTHS = "HTTP-43" Server Must
        "A server MUST answer a request with differing lengths in `content-length` with 400 and close the connection, without calling the application.";
    LENGTH_AND_CHUNKED = "HTTP-44" Server Must
        "A server MUST close the connection after the response to a request that has both `content-length` and `transfer-encoding`, and MUST read its content as chunked.";
    BAD_TRANSFER_ENCODING = "HTTP-45" Server Must
        "A server MUST answer a request whose `transfer-encoding` does not end in `chunked`, or that has one in HTTP/1.0, with 400 and close the connection, without calling the application.";
    SHUTDOWN_FINISHES_EXCHANGES = "HTTP-46" Server Must
        "A server that shuts down MUST complete every exchange that it has accepted, until the time-out of the shutdown has passed, and MUST tell clients not to send more: `connection: close` in HTTP/1, GOAWAY in HTTP/2.";
    ABSENT_BODY_IS_DRAINED = "HTTP-47" Server Must
        "A server MUST deliver a complete response to a client that is still sending content which the application did not receive.";
    RECEIVE_IN_ORDER = "HTTP-48" Application Must
        "An application MUST NOT let its response depend on how the request's content is divided into events.";
    HALF_CLOSE_IS_ANSWERED = "HTTP-49" Server Must
        "A server MUST send the response to a client that closes its sending side right after its request, when the application responds at once.";
}
