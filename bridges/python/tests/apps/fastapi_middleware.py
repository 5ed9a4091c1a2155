"""FastAPI behind middleware: `BaseHTTPMiddleware`, the decorator, and middleware of bare ASGI."""

import asyncio
import gc
import time

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from journal import tell
from starlette.middleware.base import BaseHTTPMiddleware


class Timing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        begun = time.monotonic()
        response = await call_next(request)
        response.headers["x-time"] = str(time.monotonic() - begun)
        return response


class EndWithClient(BaseHTTPMiddleware):
    """Asks whether the client is gone while the handler is at work, and tells the handler then."""

    async def dispatch(self, request, call_next):
        if request.url.path != "/ends-with-its-client":
            return await call_next(request)
        gone = request.scope["gone"] = asyncio.Event()
        handler = asyncio.create_task(call_next(request))
        while not await request.is_disconnected():
            await asyncio.sleep(0.005)
        tell(request.url.query, "disconnected")
        gone.set()
        return await handler


class Shout:
    """Middleware of bare ASGI that changes the content."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def shout(event):
            if event["type"] == "http.response.body":
                event = {**event, "body": event.get("body", b"").upper()}
            await send(event)

        await self.app(scope, receive, shout if scope["type"] == "http" else send)


app = FastAPI()
app.add_middleware(Timing)
app.add_middleware(Shout)


@app.middleware("http")
async def add_header(request: Request, call_next):
    body = await request.body() if request.method == "POST" else b""
    response = await call_next(request)
    response.headers["x-body"] = body.decode()
    return response


# The last one is the outermost: only with the server's own `receive` does `is_disconnected` work in Starlette.
app.add_middleware(EndWithClient)


@app.post("/echo")
async def echo(request: Request):
    return {"body": (await request.body()).decode()}


@app.get("/ends-with-its-client")
async def ends_with_its_client(request: Request):
    tell(request.url.query, "called")
    await request.scope["gone"].wait()


@app.get("/streams")
async def streams(request: Request):
    async def generate():
        for _ in range(3):
            yield "part "
            await asyncio.sleep(0)

    return StreamingResponse(generate())


@app.get("/endless")
async def endless(request: Request):
    async def generate():
        try:
            while True:
                yield b"x" * 100
                await asyncio.sleep(0.01)
        finally:
            tell(request.url.query, "ended")

    return StreamingResponse(generate())


@app.get("/collect")
async def collect():
    gc.collect()


@app.get("/raises")
async def raises():
    raise ValueError("raised behind middleware")
