"""A service in FastAPI with what services do: clients, threads, streams, files, uploads, dependencies, WebSockets."""

import asyncio
import gc
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import (
    BackgroundTasks,
    Depends,
    FastAPI,
    Form,
    HTTPException,
    Request,
    UploadFile,
    WebSocket,
)
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import WebSocketException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from fastapi.staticfiles import StaticFiles
from journal import tell
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

CHUNK = b"0123456789abcdef" * 4096


@asynccontextmanager
async def lifespan(app):
    async with httpx.AsyncClient(trust_env=False) as client:
        yield {"client": client, "redis": await open_redis(), "postgres": await open_postgres()}


async def open_redis():
    if url := os.environ.get("CALLGATE_REDIS_URL"):
        import redis.asyncio

        return redis.asyncio.from_url(url)


async def open_postgres():
    if url := os.environ.get("CALLGATE_POSTGRES_URL"):
        import asyncpg

        return await asyncpg.create_pool(url, min_size=1, max_size=4)


app = FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["https://example.com"])
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.mount("/static", StaticFiles(directory=Path(__file__).parent))


# Requests and responses.


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@app.post("/items/{number}", status_code=201)
async def items(number: int, item: Item, q: str | None = None):
    return {"number": number, "q": q, **item.model_dump()}


@app.get("/def")
def plain_function():
    return {"def": True}


@app.get("/sleeps")
async def sleeps():
    await asyncio.sleep(0)
    return {"slept": True}


@app.get("/missing")
async def missing():
    raise HTTPException(404, "not here", headers={"x-reason": "missing"})


@app.get("/raises")
async def raises():
    raise ValueError("raised in a handler")


@app.exception_handler(KeyError)
async def on_key_error(request, error):
    return JSONResponse({"missing": error.args[0]}, status_code=409)


@app.get("/handled")
async def handled():
    return {}["key"]


@app.get("/redirect")
async def redirect():
    return RedirectResponse("/def")


@app.get("/cookies")
async def cookies(request: Request):
    response = JSONResponse(request.cookies)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


@app.get("/large")
async def large():
    return PlainTextResponse("x" * 100_000)


@app.get("/url")
async def url(request: Request):
    return {"url": str(request.url), "client": request.client.host}


# Clients inside handlers.


@app.get("/clients/httpx")
async def http_client(request: Request):
    """Asks this same server, twice at once."""
    ask = request.state.client.get
    answers = await asyncio.gather(
        ask(str(request.url_for("sleeps"))), ask(str(request.url_for("plain_function")))
    )
    return [answer.json() for answer in answers]


@app.get("/clients/redis")
async def redis_client(request: Request):
    redis = request.state.redis
    await redis.set("key", "value")
    return {"value": (await redis.get("key")).decode(), "count": await redis.incr("count")}


@app.get("/clients/postgres")
async def postgres_client(request: Request):
    async with request.state.postgres.acquire() as connection:
        rows = await connection.fetch("SELECT generate_series(1, 3) AS number")
    return [dict(row) for row in rows]


# Threads, streams, files, background work.


@app.get("/threadpool")
async def threadpool():
    return {"sum": await run_in_threadpool(sum, range(100_000))}


@app.get("/stream/{chunks}")
async def stream(chunks: int, request: Request):
    async def generate():
        try:
            for number in range(chunks):
                yield CHUNK
                if number % 16 == 15:
                    tell(request.url.query, number + 1)
        finally:
            tell(request.url.query, "closed")

    return StreamingResponse(
        generate(), media_type="application/octet-stream", headers={"content-encoding": "identity"}
    )


@app.get("/stream-of-a-generator/{chunks}")
def stream_of_a_generator(chunks: int):
    headers = {"content-encoding": "identity"}
    return StreamingResponse(
        (CHUNK for _ in range(chunks)), media_type="application/octet-stream", headers=headers
    )


@app.get("/collect")
async def collect():
    gc.collect()


@app.get("/endless")
async def endless(request: Request):
    """Streams until the client is gone, and tells how the generator ends."""

    async def generate():
        try:
            while True:
                yield b"x" * 100
                await asyncio.sleep(0.01)
        except BaseException as error:
            tell(request.url.query, type(error).__name__)
            raise

    return StreamingResponse(generate(), media_type="text/event-stream")


@app.get("/silent")
async def silent(request: Request):
    """Streams one part, and then has nothing to send for ever."""

    async def generate():
        yield b"begun"
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            tell(request.url.query, type(error).__name__)
            raise

    return StreamingResponse(generate(), media_type="text/event-stream")


@app.get("/file")
async def file():
    return FileResponse(__file__, filename="app.py")


@app.get("/background")
async def background(request: Request, tasks: BackgroundTasks):
    async def work():
        await asyncio.sleep(0)
        tell(request.url.query, "async work")

    tasks.add_task(work)
    tasks.add_task(tell, request.url.query, "work in a thread")
    return {"accepted": True}


@app.get("/background-that-raises")
async def background_that_raises(tasks: BackgroundTasks):
    def work():
        raise ValueError("raised in background work")

    tasks.add_task(work)
    return {"accepted": True}


@app.get("/slow-background")
async def slow_background(request: Request, tasks: BackgroundTasks):
    async def work():
        await asyncio.sleep(0.1)
        tell(request.url.query, "done")

    tasks.add_task(work)
    return {"accepted": True}


@app.get("/large-file")
async def large_file(request: Request):
    return FileResponse(request.query_params["path"])


# Uploads.


@app.post("/upload")
async def upload(files: list[UploadFile], note: Annotated[str, Form()]):
    sizes = {}
    for file in files:
        sizes[file.filename] = 0
        while chunk := await file.read(2**20):
            sizes[file.filename] += len(chunk)
    return {"note": note, "sizes": sizes}


@app.post("/upload-raw")
async def upload_raw(request: Request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"size": size}


@app.post("/upload-refused")
async def upload_refused():
    """Answers without a look at the content."""
    raise HTTPException(413, "too large")


@app.post("/upload-that-stops")
async def upload_that_stops(request: Request):
    from starlette.requests import ClientDisconnect

    try:
        async for chunk in request.stream():
            tell(request.url.query, chunk)
    except ClientDisconnect:
        tell(request.url.query, "ClientDisconnect")


# Dependencies with `yield`.


async def resource(request: Request):
    key = request.url.query
    tell(key, "opened")
    try:
        yield "resource"
    except BaseException as error:
        tell(key, type(error).__name__)
        raise
    finally:
        tell(key, "closed")


def resource_in_a_thread(request: Request):
    yield "resource in a thread"
    tell(request.url.query, "closed in a thread")


@app.get("/dependency")
async def dependency(
    request: Request,
    one: Annotated[str, Depends(resource)],
    two: Annotated[str, Depends(resource_in_a_thread)],
):
    tell(request.url.query, "handler")
    return [one, two]


@app.get("/slow-with-a-dependency", dependencies=[Depends(resource)])
async def slow_with_a_dependency(request: Request):
    await asyncio.sleep(0.1)
    tell(request.url.query, "handler")
    return "answer"


@app.get("/dependency-that-sees-an-error", dependencies=[Depends(resource)])
async def dependency_that_sees_an_error():
    raise HTTPException(418)


# Disconnects.


@app.get("/waits-for-disconnect")
async def waits_for_disconnect(request: Request):
    tell(request.url.query, await request.is_disconnected())
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    tell(request.url.query, "disconnected")


@app.get("/slow")
async def slow(request: Request):
    """Takes no notice of its client, and answers later."""
    tell(request.url.query, "called")
    await go_on.wait()
    tell(request.url.query, "answers")
    return {"slow": True}


@app.get("/go-on")
async def release_slow():
    go_on.set()
    go_on.clear()


go_on = asyncio.Event()


# WebSockets.


@app.websocket("/ws/echo")
async def ws_echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as disconnect:
        tell(websocket.url.query, (disconnect.code, disconnect.reason))


@app.websocket("/ws/iterates")
async def ws_iterates(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_json({"text": text})
    tell(websocket.url.query, "ended")


@app.websocket("/ws/octets")
async def ws_octets(websocket: WebSocket):
    await websocket.accept()
    async for octets in websocket.iter_bytes():
        await websocket.send_bytes(octets[::-1])


@app.websocket("/ws/subprotocol")
async def ws_subprotocol(websocket: WebSocket):
    offered = websocket.scope["subprotocols"]
    await websocket.accept(
        "chat" if "chat" in offered else None,
        headers=[(b"x-offered", b",".join(map(str.encode, offered)))],
    )
    await websocket.close()


@app.websocket("/ws/closes/{code}")
async def ws_closes(websocket: WebSocket, code: int):
    await websocket.accept()
    await websocket.close(code, "the reason")


@app.websocket("/ws/exception")
async def ws_exception(websocket: WebSocket):
    await websocket.accept()
    raise WebSocketException(1008, "against the policy")


@app.websocket("/ws/raises")
async def ws_raises(websocket: WebSocket):
    await websocket.accept()
    raise ValueError("raised in a WebSocket")


@app.websocket("/ws/refuses")
async def ws_refuses(websocket: WebSocket):
    await websocket.close(1008)


@app.websocket("/ws/denies")
async def ws_denies(websocket: WebSocket):
    await websocket.send_denial_response(JSONResponse({"detail": "who are you?"}, status_code=401))


@app.websocket("/ws/dependency/{number}")
async def ws_dependency(
    websocket: WebSocket, number: int, one: Annotated[str, Depends(lambda: "from a dependency")]
):
    await websocket.accept()
    await websocket.send_json([number, one])
    await websocket.close()


@app.websocket("/ws/pushes")
async def ws_pushes(websocket: WebSocket):
    """Sends in one task what it receives in another."""
    await websocket.accept()
    queue = asyncio.Queue()

    async def push():
        while True:
            await websocket.send_text(await queue.get())

    pushing = asyncio.create_task(push())
    try:
        async for text in websocket.iter_text():
            for part in text.split():
                queue.put_nowait(part)
    finally:
        pushing.cancel()
        await asyncio.wait([pushing])
        tell(websocket.url.query, pushing.cancelled())


@app.websocket("/ws/sends-to-a-client-that-is-gone")
async def ws_sends_to_a_client_that_is_gone(websocket: WebSocket):
    await websocket.accept()
    tell(websocket.url.query, "accepted")
    await go_on.wait()
    try:
        for _ in range(10):
            await websocket.send_text("for nobody")
        tell(websocket.url.query, "no effect")
    except WebSocketDisconnect:
        tell(websocket.url.query, "WebSocketDisconnect")


@app.websocket("/ws/waits-before-accept")
async def ws_waits_before_accept(websocket: WebSocket):
    tell(websocket.url.query, "called")
    await go_on.wait()
    try:
        # What these raise when the client is gone ends the call, and is no error of the application.
        await websocket.accept()
        await websocket.receive_text()
    finally:
        tell(websocket.url.query, "ended")
