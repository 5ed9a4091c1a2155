"""Applications of bare ASGI for `test_protocol_websocket.py`, one a path."""

import asyncio
from urllib.parse import unquote

from journal import tell

ACCEPT = {"type": "websocket.accept"}


async def connect(receive):
    assert await receive() == {"type": "websocket.connect"}


async def accept(receive, send, **options):
    await connect(receive)
    await send(ACCEPT | options)


async def show_scope(scope, receive, send):
    tell(scope, {key: value for key, value in scope.items() if key != "app"})
    await accept(receive, send)
    await send({"type": "websocket.close"})


async def echo(scope, receive, send):
    """Sends back what it receives, and tells the disconnect."""
    await accept(receive, send)
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return tell(scope, event)
        if event.get("text") is not None:
            assert event.get("bytes") is None
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            assert event.get("text") is None
            await send({"type": "websocket.send", "bytes": event["bytes"]})


async def both_keys(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "text", "bytes": None})
    await send({"type": "websocket.send", "text": None, "bytes": b"bytes"})
    await send({"type": "websocket.send", "text": ""})
    await send({"type": "websocket.close", "code": 1000, "reason": None})


async def last_subprotocol(scope, receive, send):
    await accept(receive, send, subprotocol=scope["subprotocols"][-1])
    await send({"type": "websocket.close"})


async def no_subprotocol(scope, receive, send):
    await accept(receive, send, subprotocol=None, headers=[])
    await send({"type": "websocket.close"})


async def fields(scope, receive, send):
    await accept(
        receive,
        send,
        headers=[(b"set-cookie", b"a=1"), [b"X-Field", b"1"], (b"set-cookie", b"b=2")],
    )
    await send({"type": "websocket.close"})


async def closes(scope, receive, send):
    code, _, reason = unquote(scope["query_string"].decode()).partition("&")
    await accept(receive, send)
    await send({"type": "websocket.close", "code": int(code), "reason": reason})


async def closes_without_code(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.close"})


async def receives_after_its_close(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 3000})
    while (event := await receive())["type"] == "websocket.receive":
        pass
    tell(scope, event["type"])


async def sends_after_its_close(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.close"})
    try:
        await send({"type": "websocket.send", "text": "late"})
        tell(scope, "no effect")
    except Exception as error:
        tell(scope, type(error).__name__)


async def sends_after_disconnect(scope, receive, send):
    await accept(receive, send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    try:
        await send({"type": "websocket.send", "text": "late"})
        tell(scope, "no effect")
    except OSError:
        tell(scope, "OSError")


async def sends_without_end(scope, receive, send):
    """Sends until a send raises an `OSError`, or receive tells that the client is gone."""
    await accept(receive, send)
    gone = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        while not gone.done():
            await send({"type": "websocket.send", "bytes": b"x" * 1000})
            await asyncio.sleep(0)
    except OSError:
        pass
    tell(scope, await gone)


async def wait_for_disconnect(receive):
    while (event := await receive())["type"] != "websocket.disconnect":
        pass
    return event["type"]


async def rejects(scope, receive, send):
    await connect(receive)
    await send({"type": "websocket.close", "code": 1008})
    tell(scope, (await receive())["type"])


async def rejects_at_once(scope, receive, send):
    """Does not receive the connect event first."""
    await send({"type": "websocket.close"})


async def rejects_with_a_list(scope, receive, send):
    """FastAPI does so when a parameter is not valid: the reason has no place in a 403."""
    await connect(receive)
    await send({"type": "websocket.close", "code": 1008, "reason": [{"msg": "x" * 200}]})


async def denies(scope, receive, send):
    await connect(receive)
    headers = [(b"content-type", b"text/plain"), (b"x-field", b"1"), (b"content-length", b"11")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"allowed"})
    tell(scope, (await receive())["type"])


async def denies_without_length(scope, receive, send):
    await connect(receive)
    await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"not here"})


async def denies_without_content(scope, receive, send):
    await connect(receive)
    await send({"type": "websocket.http.response.start", "status": 404, "headers": []})


async def denies_twice(scope, receive, send):
    await denies_without_content(scope, receive, send)
    await send({"type": "websocket.http.response.start", "status": 403, "headers": []})


async def denies_with_700(scope, receive, send):
    await connect(receive)
    await send({"type": "websocket.http.response.start", "status": 700, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"what"})


async def returns_at_once(scope, receive, send):
    pass


async def raises_at_once(scope, receive, send):
    raise RuntimeError("raised before the handshake")


async def returns_after_accept(scope, receive, send):
    await accept(receive, send)


async def returns_a_value(scope, receive, send):
    await accept(receive, send)
    await send({"type": "websocket.send", "text": "text"})
    await send({"type": "websocket.close"})
    return "value"


async def raises_after_accept(scope, receive, send):
    await accept(receive, send)
    raise RuntimeError("raised after the handshake")


async def sends_before_accept(scope, receive, send):
    await connect(receive)
    try:
        await send({"type": "websocket.send", "text": "early"})
        tell(scope, "sent")
    except Exception as error:
        tell(scope, type(error).__name__)
        raise


async def accepts_twice(scope, receive, send):
    await accept(receive, send)
    try:
        await send(ACCEPT)
        tell(scope, "sent")
    except Exception as error:
        tell(scope, type(error).__name__)
        raise


async def waits_before_accept(scope, receive, send):
    """Tells what it receives before it has accepted."""
    await connect(receive)
    tell(scope, "connect")
    tell(scope, (await receive())["type"])


async def reads_late(scope, receive, send):
    """Receives only when the client has sent all its messages and its close frame."""
    await accept(receive, send)
    tell(scope, "accepted")
    await released.wait()
    while True:
        event = await receive()
        tell(scope, event.get("text", event["type"]))
        if event["type"] == "websocket.disconnect":
            return


async def release(scope, receive, send):
    released.set()
    await closes_without_code(scope, receive, send)


released = asyncio.Event()


async def sleeps_until_wake(scope, receive, send):
    """Neither sends nor receives: what the server answers, it answers by itself."""
    await accept(receive, send)
    await woken.wait()


async def wake(scope, receive, send):
    woken.set()
    woken.clear()
    await closes_without_code(scope, receive, send)


woken = asyncio.Event()


async def lifespan(receive, send):
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
        return await lifespan(receive, send)
    assert scope["type"] == "websocket", scope["type"]
    await PATHS.get(scope["path"], show_scope)(scope, receive, send)
