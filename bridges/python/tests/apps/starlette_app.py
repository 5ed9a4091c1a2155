"""A service in Starlette: classes, mounts, sessions, events of the server, a reverse stream, WebSocket endpoints."""

import asyncio
import contextlib

import anyio
from journal import tell
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, requires
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect


@contextlib.asynccontextmanager
async def lifespan(app):
    async with anyio.create_task_group() as group:
        send, receive = anyio.create_memory_object_stream(10)
        group.start_soon(work, receive)
        yield {"jobs": send}
        group.cancel_scope.cancel()


async def work(receive):
    """A worker that lives as long as the application."""
    async for key, job in receive:
        tell(key, f"worked on {job}")


async def add_job(request):
    await request.state.jobs.send((request.url.query, "a job"))
    return PlainTextResponse("added")


class Endpoint(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse("get")

    async def post(self, request):
        return JSONResponse(await request.json(), status_code=201)


async def counts(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return JSONResponse(request.session)


class Basic(AuthenticationBackend):
    async def authenticate(self, connection):
        if name := connection.headers.get("x-user"):
            return AuthCredentials(["authenticated"]), SimpleUser(name)


@requires("authenticated", status_code=401)
async def whoami(request):
    return PlainTextResponse(request.user.username)


async def mounted(request):
    path, root_path = request.scope["path"], request.scope["root_path"]
    return JSONResponse(
        {"path": path, "root_path": root_path, "to": str(request.url_for("mounted:here"))}
    )


async def events(request):
    """Server-sent events that end with their client."""

    async def generate():
        number = 0
        try:
            while True:
                yield f"data: {number}\n\n"
                number += 1
                await asyncio.sleep(0.005)
        finally:
            tell(request.url.query, "ended")

    return StreamingResponse(generate(), media_type="text/event-stream")


async def cancelled(request):
    """Of two tasks the slower one is cancelled."""
    results = []

    async def sleep(seconds):
        await anyio.sleep(seconds)
        results.append(seconds)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(sleep, 0.001)
        group.start_soon(sleep, 60)
    return JSONResponse(results)


class Echo(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket):
        await websocket.accept()
        await websocket.send_json({"path": websocket.url.path, "cookies": websocket.cookies})

    async def on_receive(self, websocket, data):
        await websocket.send_json({"received": data})

    async def on_disconnect(self, websocket, close_code):
        tell(websocket.url.query, int(close_code))


async def relay(websocket):
    """Relays in two tasks; the end of one ends the other."""
    await websocket.accept()
    send, receive = anyio.create_memory_object_stream(0)

    async def take():
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await send.send(await websocket.receive_text())
        group.cancel_scope.cancel()

    async def give():
        async for text in receive:
            await websocket.send_text(text)

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        group.start_soon(give)
    tell(websocket.url.query, "left the group")


async def times_out(websocket):
    """Closes when its client says nothing."""
    await websocket.accept()
    try:
        async with asyncio.timeout(0.05):
            await websocket.receive_text()
    except TimeoutError:
        await websocket.close(4008, "too slow")


app = Starlette(
    lifespan=lifespan,
    middleware=[
        Middleware(SessionMiddleware, secret_key="for tests"),
        Middleware(AuthenticationMiddleware, backend=Basic()),
    ],
    routes=[
        Route("/jobs", add_job),
        Route("/endpoint", Endpoint),
        Route("/counts", counts),
        Route("/whoami", whoami),
        Mount(
            "/mounted",
            routes=[Route("/here/{rest:path}", mounted), Route("/here", mounted, name="here")],
            name="mounted",
        ),
        Route("/events", events),
        Route("/cancelled", cancelled),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/relay", relay),
        WebSocketRoute("/times-out", times_out),
        Host(
            "other.test",
            Starlette(routes=[Route("/", lambda request: PlainTextResponse("other host"))]),
        ),
    ],
)
