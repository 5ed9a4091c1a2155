"""Applications of bare ASGI that are at work when the server is told to stop; one a path."""

import asyncio

from journal import tell
from raw_http import body, read, start
from raw_lifespan import KEY


async def now(scope, receive, send):
    await send(start(headers=[(b"content-length", b"3")]))
    await send(body(b"now"))


async def answers_in_a_moment(scope, receive, send):
    tell(KEY, "called")
    await asyncio.sleep(0.3)
    await send(start(headers=[(b"content-length", b"8")]))
    await send(body(b"answered"))


async def echo(scope, receive, send):
    octets, more = b"", True
    while more:
        event = await receive()
        octets += event["body"]
        more = event["more_body"]
        tell(KEY, octets)
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))


async def streams(scope, receive, send):
    tell(KEY, "called")
    await send(start())
    try:
        while True:
            await send(body(b"x" * 100, more=True))
            await asyncio.sleep(0.01)
    except BaseException as error:
        tell(KEY, type(error).__name__)
        raise


async def cleans_up_for_long(scope, receive, send):
    tell(KEY, "called")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        tell(KEY, "CancelledError")
        await asyncio.sleep(3600)


async def ends_its_stream(scope, receive, send):
    await read(receive)
    tell(KEY, "http.shutdown" in scope.get("extensions", {}))
    await send(start())
    await send(body(b"begun, ", more=True))
    tell(KEY, await receive())
    await send(body(b"ended"))


async def works_on_after_its_answer(scope, receive, send):
    await now(scope, receive, send)
    await asyncio.sleep(0.5)
    tell(KEY, "work done")


async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    tell(KEY, "called")
    event = await receive()
    tell(KEY, {"type": event["type"], "code": event["code"], "reason": event.get("reason") or ""})


async def websocket_that_cleans_up(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
    tell(KEY, "disconnected")
    await asyncio.sleep(0.5)
    tell(KEY, "cleaned up")


PATHS = {
    f"/{name}": value
    for name, value in list(globals().items())
    if asyncio.iscoroutinefunction(value)
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        tell(KEY, "shutdown")
        return await send({"type": "lifespan.shutdown.complete"})
    await PATHS[scope["path"]](scope, receive, send)
