"""Applications of bare ASGI with every kind of lifespan. `CALLGATE_TEST_KEY` is the key that they tell under."""

import asyncio
import os

from journal import tell
from raw_http import body, start

KEY = os.environ.get("CALLGATE_TEST_KEY", "none")


async def hello(scope, receive, send):
    await send(start(headers=[(b"content-length", b"5")]))
    await send(body(b"hello"))


async def plain(scope, receive, send):
    """Tells each event of the lifespan, and each request."""
    if scope["type"] != "lifespan":
        tell(KEY, scope["type"])
        return await hello(scope, receive, send)
    tell(KEY, {key: value for key, value in scope.items() if key != "app"})
    for name in ("startup", "shutdown"):
        event = await receive()
        tell(KEY, event)
        await send({"type": f"lifespan.{name}.complete"})


async def with_state(scope, receive, send):
    if scope["type"] == "lifespan":
        scope["state"]["text"] = "set at start-up"
        scope["state"]["shared"] = []
        for name in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{name}.complete"})
        return tell(KEY, scope["state"]["shared"])
    state = scope["state"]
    tell(KEY, dict(state))
    state["text"] = "changed by a request"
    state["new"] = "added by a request"
    state["shared"].append(scope["type"])
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return await send({"type": "websocket.close"})
    await hello(scope, receive, send)


async def slow_to_start(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.sleep(0.3)
        tell(KEY, "started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.3)
        tell(KEY, "stopped")
        return await send({"type": "lifespan.shutdown.complete"})
    tell(KEY, "request")
    await hello(scope, receive, send)


async def never_starts(scope, receive, send):
    await receive()
    tell(KEY, "starting")
    try:
        await asyncio.sleep(3600)
    finally:
        tell(KEY, "cleaned up")


async def unsupported(scope, receive, send):
    """Declines as ASGI has it: by an exception."""
    if scope["type"] != "http":
        raise NotImplementedError(f"unknown scope type {scope['type']}")
    await hello(scope, receive, send)


async def asserts_http(scope, receive, send):
    """The commonest way to decline."""
    assert scope["type"] == "http"
    await hello(scope, receive, send)


async def returns_at_once(scope, receive, send):
    if scope["type"] == "http":
        await hello(scope, receive, send)


async def returns_after_startup(scope, receive, send):
    if scope["type"] == "http":
        return await hello(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def answers_without_reading(scope, receive, send):
    """Treats the lifespan as a request, and so breaks the protocol."""
    await hello(scope, receive, send)


async def startup_fails(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database at this address"})


async def startup_fails_without_message(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed"})


async def startup_raises(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        raise RuntimeError("raised at start-up")
    await hello(scope, receive, send)


async def shutdown_fails(scope, receive, send):
    if scope["type"] != "lifespan":
        return await hello(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the pool is not empty"})


async def shutdown_raises(scope, receive, send):
    if scope["type"] != "lifespan":
        return await hello(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise RuntimeError("raised at shutdown")


async def task_in_lifespan(scope, receive, send):
    """A task that begins at start-up works while requests are served, and is cancelled at shutdown."""
    if scope["type"] != "lifespan":
        await scope["state"]["ticked"].wait()
        return await hello(scope, receive, send)

    async def tick():
        while True:
            await asyncio.sleep(0.01)
            ticked.set()

    await receive()
    ticked = scope["state"]["ticked"] = asyncio.Event()
    task = asyncio.create_task(tick())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    task.cancel()
    await asyncio.wait([task])
    tell(KEY, task.cancelled())
    await send({"type": "lifespan.shutdown.complete"})
