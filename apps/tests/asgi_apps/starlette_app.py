"""Applications of Starlette: content, streams, a file, background work and WebSockets, with and without middleware."""

import contextlib
import pathlib

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"greeting": "Hello"}


async def echo(request: Request):
    body = await request.body()
    return PlainTextResponse(f"{request.state.greeting}: ".encode() + body)


async def stream(request: Request):
    async def parts():
        async for part in request.stream():
            yield part
        yield b"."

    return StreamingResponse(parts(), media_type="application/octet-stream")


async def file(request: Request):
    return FileResponse(pathlib.Path(__file__).resolve())


async def order(request: Request):
    done = []
    return PlainTextResponse("ordered", background=BackgroundTask(done.append, "a mail"))


async def thread(request: Request):
    def compute():
        yield "computed in a thread"

    return StreamingResponse(compute(), media_type="text/plain")


async def messages(websocket):
    await websocket.accept(subprotocol=next(iter(websocket.scope["subprotocols"]), None))
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass


async def refused(websocket):
    if "websocket.http.response" in websocket.scope["extensions"]:
        await websocket.send_denial_response(PlainTextResponse("not today", status_code=403))
    else:
        await websocket.close(code=4000, reason="not today")


class Pass(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-passed"] = "yes"
        return response


routes = [
    Route("/", echo, methods=["GET", "POST"]),
    Route("/stream", stream, methods=["GET", "POST"]),
    Route("/file", file),
    Route("/order", order, methods=["POST"]),
    Route("/thread", thread),
    WebSocketRoute("/", messages),
    WebSocketRoute("/refused", refused),
]

app = Starlette(routes=routes, lifespan=lifespan)

with_middleware = Starlette(
    routes=routes, lifespan=lifespan, middleware=[Middleware(Pass), Middleware(GZipMiddleware, minimum_size=10)]
)
