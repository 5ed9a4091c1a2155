"""Applications that raise, for `test_log.py`, and a handler that tells the records of the log."""

import asyncio
import logging
import os
import traceback

import raw_shutdown
import raw_websocket
from journal import tell
from raw_http import body, hello, start
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute


class Telling(logging.Handler):
    """Tells each record: where it was logged, its text, the kinds of its exception and what its traceback names."""

    def emit(self, record):
        kind, exception, frames = record.exc_info or (None, None, None)
        fact = {
            "logger": record.name,
            "level": record.levelname,
            "text": record.getMessage(),
            "exception": repr(exception),
            "files": [os.path.basename(frame.filename) for frame in traceback.extract_tb(frames)],
        }
        tell(os.environ["CALLGATE_TEST_KEY"], fact)


class Custom(Exception):
    """An exception of the application's own."""


async def at_once(scope, receive, send):
    raise Custom("raised at once")


async def after_a_wait(scope, receive, send):
    await asyncio.sleep(0)
    raise Custom("raised\nafter a wait")


async def after_the_start(scope, receive, send):
    await send(start())
    await send(body(b"begun", more=True))
    await asyncio.sleep(0)
    raise Custom("raised after the start")


async def after_the_end(scope, receive, send):
    await hello(scope, receive, send)
    await asyncio.sleep(0)
    raise Custom("raised after the end")


async def a_group(scope, receive, send):
    async with asyncio.TaskGroup() as group:
        group.create_task(at_once(scope, receive, send))


async def breaks_a_rule(scope, receive, send):
    await send(body(b"before the start"))


async def while_it_is_cancelled(scope, receive, send):
    await send(start())
    tell(os.environ["CALLGATE_TEST_KEY"], "called")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise Custom("raised while it is cancelled") from None


class Future:
    """An awaitable that is no coroutine, as the application may return it."""

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        raise Custom("raised by an awaitable")


PATHS = {
    f"/{function.__name__}": function
    for function in (
        at_once,
        after_a_wait,
        after_the_start,
        after_the_end,
        a_group,
        breaks_a_rule,
        while_it_is_cancelled,
        raw_websocket.raises_after_accept,
        raw_websocket.raises_at_once,
    )
}
PATHS["/an_awaitable"] = lambda scope, receive, send: Future()


def raw(scope, receive, send):
    if scope["type"] == "lifespan":
        return raw_shutdown.app(scope, receive, send)
    return PATHS[scope["path"]](scope, receive, send)


async def raises(request):
    raise Custom("raised by a handler")


async def ws_raises(websocket):
    await websocket.accept()
    raise Custom("raised in a WebSocket")


async def passes(request, call_next):
    return await call_next(request)


routes = [
    Route("/handler", raises),
    Route("/hello", lambda request: PlainTextResponse("hello")),
    WebSocketRoute("/websocket", ws_raises),
]
starlette = Starlette(routes=routes)
debugging = Starlette(routes=routes, debug=True)
behind_middleware = Starlette(
    routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=passes)]
)
