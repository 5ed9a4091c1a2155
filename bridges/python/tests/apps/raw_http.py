"""Applications of bare ASGI for `test_protocol.py`, one a path."""

import asyncio
import http

from journal import tell


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(octets=b"", more=False):
    return {"type": "http.response.body", "body": octets, "more_body": more}


async def read(receive):
    """Returns the whole content of a request."""
    parts = []
    while True:
        event = await receive()
        assert event["type"] == "http.request", event
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            return b"".join(parts)


async def hello(scope, receive, send):
    await send(start(headers=[(b"content-length", b"5")]))
    await send(body(b"hello"))


async def show_scope(scope, receive, send):
    tell(scope, {key: value for key, value in scope.items() if key != "app"})
    await hello(scope, receive, send)


async def show_events(scope, receive, send):
    """Tells each event up to the end of the content."""
    more = True
    while more:
        event = await receive()
        tell(scope, event)
        more = event.get("more_body", False)
    await hello(scope, receive, send)


async def echo(scope, receive, send):
    octets = await read(receive)
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))


async def echo_in_parts(scope, receive, send):
    """Answers each part of the content as it comes: streams in both directions."""
    await send(start())
    more = True
    while more:
        event = await receive()
        more = event["more_body"]
        await send(body(event["body"].upper(), more=more))


async def chunks(scope, receive, send):
    """Three parts, an empty one among them, without a length."""
    await send(start())
    for part in (b"one", b"", b"two"):
        await send(body(part, more=True))
    await send(body())


async def empty_without_length(scope, receive, send):
    await send(start())
    await send(body())


async def own_transfer_encoding(scope, receive, send):
    await send(start(headers=[(b"transfer-encoding", b"chunked")]))
    await send(body(b"one", more=True))
    await send(body(b"two"))


async def status(scope, receive, send):
    """The status of the request's query string, and no content."""
    await send(start(int(scope["query_string"])))
    await send(body())


async def status_of_an_enumeration(scope, receive, send):
    await send(start(http.HTTPStatus.CREATED, [(b"content-length", b"0")]))
    await send(body())


async def fields(scope, receive, send):
    headers = [
        (b"set-cookie", b"a=1"),
        (b"x-octets", b"caf\xe9 \xff"),
        (b"set-cookie", b"b=2"),
        (b"x-empty", b""),
        (b"content-length", b"0"),
    ]
    await send(start(headers=headers))
    await send(body())


async def fields_in_other_forms(scope, receive, send):
    """An iterator of lists, with a name that is not in lower case."""
    await send(
        start(
            headers=(
                [name, value] for name, value in [(b"X-Upper", b"1"), (b"content-length", b"0")]
            )
        )
    )
    await send(body())


async def tuple_of_fields(scope, receive, send):
    await send(start(headers=((b"x-field", b"1"), (b"content-length", b"0"))))
    await send(body())


async def no_fields(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


async def kinds_of_octets(scope, receive, send):
    """`memoryview` is what Starlette's `StreamingResponse` passes on."""
    await send(start())
    await send(body(bytearray(b"one"), more=True))
    await send(body(memoryview(b"-two-")[1:-1], more=True))
    await send(body(memoryview(b"")))


async def keys_that_no_one_knows(scope, receive, send):
    await send(start(headers=[(b"content-length", b"5")]) | {"trailers": False, "x": 1})
    await send(body(b"hello") | {"x": 1})


async def own_server_and_date(scope, receive, send):
    headers = [
        (b"server", b"mine"),
        (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"content-length", b"0"),
    ]
    await send(start(headers=headers))
    await send(body())


async def closes(scope, receive, send):
    await send(start(headers=[(b"connection", b"close"), (b"content-length", b"5")]))
    await send(body(b"hello"))


async def ignores_content(scope, receive, send):
    await hello(scope, receive, send)


async def head_with_chunks(scope, receive, send):
    await send(start())
    await send(body(b"one", more=True))
    await send(body(b"two"))


async def splits_the_response(scope, receive, send):
    await send(start(headers=[(b"x-field", b"a\r\nx-injected: b"), (b"content-length", b"0")]))
    await send(body())


async def raises(scope, receive, send):
    raise RuntimeError("raised before the start")


async def raises_after_start(scope, receive, send):
    await send(start())
    await send(body(b"begun", more=True))
    raise RuntimeError("raised after the start")


async def raises_after_end(scope, receive, send):
    await hello(scope, receive, send)
    raise RuntimeError("raised after the end")


async def sends_nothing(scope, receive, send):
    pass


async def starts_only(scope, receive, send):
    await send(start())


async def sends_a_part(scope, receive, send):
    await send(start(headers=[(b"content-length", b"10")]))
    await send(body(b"begun", more=True))


async def too_much(scope, receive, send):
    await send(start(headers=[(b"content-length", b"3")]))
    await send(body(b"hello"))


async def too_little(scope, receive, send):
    await send(start(headers=[(b"content-length", b"10")]))
    await send(body(b"hello"))


async def breaks_the_order(scope, receive, send, *events):
    """Sends events, and tells how each send has ended."""
    for event in events:
        try:
            await send(event)
        except Exception as error:
            tell(scope, type(error).__name__)
            return
    tell(scope, "sent")


async def body_first(scope, receive, send):
    await breaks_the_order(scope, receive, send, body(b"hello"))


async def starts_twice(scope, receive, send):
    await breaks_the_order(scope, receive, send, start(), start())


async def unknown_event(scope, receive, send):
    await breaks_the_order(scope, receive, send, {"type": "http.response.unknown"})


MALFORMED = [
    {"type": "http.response.start", "status": "200"},
    {"type": "http.response.start", "status": 200, "headers": [("x-name", "text")]},
    {"type": "http.response.start", "status": 200, "headers": [(b"a b", b"value")]},
    {"type": "http.response.start", "status": 200, "headers": [(b":authority", b"value")]},
    {"type": "http.response.body", "body": "text"},
    {"status": 200},
]


async def answers_after_malformed_events(scope, receive, send):
    """Catches what malformed events raise, and answers."""
    for event in MALFORMED:
        try:
            await send(event)
            tell(scope, "sent")
        except Exception as error:
            tell(scope, type(error).__name__)
    await hello(scope, receive, send)


async def sends_after_the_end(scope, receive, send):
    length = [(b"content-length", b"5")]
    await breaks_the_order(
        scope, receive, send, start(headers=length), body(b"hello"), body(b"again")
    )


async def returns_a_value(scope, receive, send):
    await send(start(headers=[(b"connection", b"close"), (b"content-length", b"5")]))
    await send(body(b"hello"))
    return "value"


async def receives_after_the_end(scope, receive, send):
    octets = await read(receive)
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))
    tell(scope, await receive())
    tell(scope, await receive())


async def receives_until_disconnect(scope, receive, send):
    while True:
        event = await receive()
        tell(scope, event)
        if event["type"] == "http.disconnect":
            return


async def sends_after_disconnect(scope, receive, send):
    """Tells whether a send after the disconnect has no effect or raises an `OSError`; ASGI has both."""
    while (await receive())["type"] != "http.disconnect":
        pass
    try:
        await send(start())
        for _ in range(3):
            await send(body(b"for nobody", more=True))
        await send(body())
        tell(scope, "no effect")
    except OSError:
        tell(scope, "OSError")


async def sends_without_end(scope, receive, send):
    """Sends until the client is gone, of which only receive or a failing send tells."""
    await send(start())
    tell(scope, "started")
    gone = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        while not gone.done():
            await send(body(b"x" * 1000, more=True))
            await asyncio.sleep(0)
    except OSError:
        pass
    await gone
    tell(scope, "disconnected")


async def wait_for_disconnect(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def receives_nothing(scope, receive, send):
    """Leaves the content where it is until the test has seen that the server takes no more of it."""
    tell(scope, "called")
    while counter["go"] == 0:
        await asyncio.sleep(0.01)
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event["body"])
        more = event["more_body"]
    tell(scope, size)
    await hello(scope, receive, send)


async def go(scope, receive, send):
    counter["go"] += 1
    await hello(scope, receive, send)


counter = {"go": 0}


async def waits_for_the_next(scope, receive, send):
    """Answers when a later call has begun, if there is one within a moment: on one connection there is none."""
    tell(scope, "begun")
    await asyncio.sleep(0.05)
    tell(scope, "ended")
    await hello(scope, receive, send)


async def early_hint(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    await hello(scope, receive, send)


async def trailers(scope, receive, send):
    headers = [(b"trailer", b"x-sum"), (b"transfer-encoding", b"chunked")]
    await send(start(headers=headers) | {"trailers": True})
    await send(body(b"hello"))
    await send(
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"5")], "more_trailers": False}
    )


async def answers_after_a_while(scope, receive, send):
    await asyncio.sleep(1.2)
    await hello(scope, receive, send)


async def path_send(scope, receive, send):
    await send(start(headers=[(b"content-length", scope["query_string"])]))
    await send({"type": "http.response.pathsend", "path": __file__})


async def stops_in_lifespan(scope, receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


PATHS = {
    f"/{name}": value
    for name, value in list(globals().items())
    if asyncio.iscoroutinefunction(value)
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    assert scope["type"] == "http", scope["type"]
    called = PATHS.get(scope["path"], show_scope)
    return await called(scope, receive, send)


async def app_behind_a_header(scope, receive, send):
    """Tells under the key of the header field `x-key`, whatever the target is."""
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    keys = [value for name, value in scope["headers"] if name == b"x-key"]
    tell(keys[0], {key: value for key, value in scope.items() if key != "app"})
    await hello(scope, receive, send)


class Holder:
    """An application that is a method of an object in the module."""

    async def app(self, scope, receive, send):
        await app(scope, receive, send)


holder = Holder()


def create_app():
    return app
