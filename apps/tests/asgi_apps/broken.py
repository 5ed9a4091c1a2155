"""Applications of ASGI with one mistake each."""

import asyncio
import os
import re
import sys
import time

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"content"}


def serves(kind):
    """Serves one kind of scope, and rejects every other."""

    def decorate(serve):
        async def app(scope, receive, send):
            if scope["type"] != kind:
                raise NotImplementedError(scope["type"])
            await serve(scope, receive, send)

        return app

    return decorate


http, websocket, lifespan = serves("http"), serves("websocket"), serves("lifespan")


@http
async def body_before_start(scope, receive, send):
    await send(BODY)


@http
async def two_starts(scope, receive, send):
    await send(START)
    await send(START)


@http
async def no_start(scope, receive, send):
    pass


@http
async def no_last_body(scope, receive, send):
    await send(START)
    await send({**BODY, "more_body": True})


@http
async def wrong_length(scope, receive, send):
    await send({**START, "headers": [(b"content-length", b"3")]})
    await send(BODY)


@http
async def interim_status(scope, receive, send):
    await send({**START, "status": 103})
    await send(BODY)


@http
async def content_with_204(scope, receive, send):
    await send({**START, "status": 204})
    await send(BODY)


@http
async def header_as_str(scope, receive, send):
    await send({**START, "headers": [("content-type", "text/plain")]})
    await send(BODY)


@http
async def header_in_upper_case(scope, receive, send):
    await send({**START, "headers": [(b"Content-Type", b"text/plain")]})
    await send(BODY)


@http
async def header_with_line_feed(scope, receive, send):
    await send({**START, "headers": [(b"x-name", b"one\ntwo")]})
    await send(BODY)


@http
async def body_as_str(scope, receive, send):
    await send(START)
    await send({**BODY, "body": "content"})


@http
async def no_status(scope, receive, send):
    await send({"type": "http.response.start", "headers": []})


@http
async def event_without_type(scope, receive, send):
    await send({"status": 200})


@http
async def unknown_event(scope, receive, send):
    await send({"type": "http.response.begin", "status": 200})


@http
async def event_of_websocket(scope, receive, send):
    await send({"type": "websocket.accept"})


@http
async def push(scope, receive, send):
    await send(START)
    await send({"type": "http.response.push", "path": "/style.css", "headers": []})
    await send(BODY)


@http
async def trailers_that_are_not_offered(scope, receive, send):
    await send({**START, "trailers": True})
    await send(BODY)


@http
async def relative_path(scope, receive, send):
    await send(START)
    if "http.response.pathsend" in scope["extensions"]:
        await send({"type": "http.response.pathsend", "path": "broken.py"})
    else:
        await send(BODY)


@http
async def first_event_only(scope, receive, send):
    event = await receive()
    await send(START)
    await send({**BODY, "body": event.get("body", b"")})


waiting = {}


@http
async def one_buffer(scope, receive, send):
    """The content of requests at the same time gets mixed up."""
    while (event := await receive())["type"] == "http.request":
        waiting["body"] = waiting.get("body", b"") + event["body"]
        if not event["more_body"]:
            break
    await send(START)
    await send({**BODY, "body": waiting.pop("body", b"")})


@http
async def keeps_running(scope, receive, send):
    try:
        await send(START)
        await send({**BODY, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
    except OSError:
        pass
    await asyncio.sleep(3600)


@http
async def endless_loop(scope, receive, send):
    while True:
        time.sleep(0.001)


@http
async def regex_without_end(scope, receive, send):
    """Holds the interpreter's lock, so that no other thread of the process runs."""
    print("process", os.getpid(), file=sys.stderr, flush=True)
    re.match("(a+)+$", "a" * 60 + "b")


@http
async def exits(scope, receive, send):
    sys.exit(7)


@http
async def dies(scope, receive, send):
    if scope["method"] == "POST":
        os._exit(9)
    await send(START)
    await send(BODY)


async def answers_every_kind(scope, receive, send):
    if scope["type"] in ("websocket", "lifespan"):
        raise NotImplementedError(scope["type"])
    await send(START)
    await send(BODY)


async def rejects_nothing(scope, receive, send):
    await send(START)
    await send(BODY)


@websocket
async def send_before_accept(scope, receive, send):
    await send({"type": "websocket.send", "text": "hello"})


@websocket
async def accept_twice(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.accept"})


@websocket
async def no_answer(scope, receive, send):
    await receive()


@websocket
async def subprotocol_of_its_own(scope, receive, send):
    await send({"type": "websocket.accept", "subprotocol": "soap"})


@websocket
async def subprotocol_as_header(scope, receive, send):
    await send({"type": "websocket.accept", "headers": [(b"sec-websocket-protocol", b"callgate.one")]})


@websocket
async def close_with_1006(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1006})


@websocket
async def long_reason(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "reason": "x" * 124})


@websocket
async def text_and_bytes(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "hello", "bytes": b"hello"})


@websocket
async def denial_that_is_not_offered(scope, receive, send):
    await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})


@lifespan
async def startup_without_answer(scope, receive, send):
    await receive()


@lifespan
async def startup_without_end(scope, receive, send):
    await receive()
    await asyncio.Event().wait()


@lifespan
async def shutdown_without_answer(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()


@lifespan
async def shutdown_too_early(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@lifespan
async def leaves_after_startup(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})


@lifespan
async def fails_to_start(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def raises_at_startup(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        raise RuntimeError("no database")
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send(START)
    await send(BODY)


@http
async def raises(scope, receive, send):
    raise KeyError("article")


@http
async def prints(scope, receive, send):
    print('{"message": "idle", "handled": 1000000}')
    print("a line from the application", file=sys.stderr)
    assert sys.stdin.read() == ""
    await send(START)
    await send(BODY)


@http
async def sends_after_the_end(scope, receive, send):
    try:
        await send({**START, "headers": [(b"connection", b"close"), (b"transfer-encoding", b"chunked")]})
        await send(BODY)
        await send(BODY)
    except RuntimeError:
        # Breaks a rule that shows.
        os._exit(1)


@websocket
async def sends_after_the_close(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1000, "reason": None})
    try:
        await send({"type": "websocket.send", "text": "hello"})
    except OSError:
        return
    except RuntimeError:
        pass
    os._exit(1)


def make():
    return prints


class Legacy:
    def __init__(self, scope):
        self.scope = scope


number = 7
