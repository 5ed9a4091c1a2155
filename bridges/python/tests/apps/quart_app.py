"""A service in Quart: forms, streams of requests, events of the server, background tasks, WebSockets."""

import asyncio

from journal import tell
from quart import Quart, abort, make_response, render_template_string, request, websocket

app = Quart(__name__)


@app.before_serving
async def begin():
    app.text = "set before serving"


@app.get("/")
async def index():
    return await render_template_string("Hello {{ name }}", name=app.text)


@app.post("/json")
async def json():
    return await request.get_json()


@app.post("/upload")
async def upload():
    files = await request.files
    form = await request.form
    return {"size": len(files["file"].read()), "note": form["note"]}


@app.post("/size")
async def size():
    """Reads the content as it comes."""
    total = 0
    async for part in request.body:
        total += len(part)
    return str(total)


@app.get("/sync")
def sync():
    return "in a thread"


@app.get("/stream")
async def stream():
    async def parts():
        for number in range(3):
            await asyncio.sleep(0)
            yield f"part {number} "

    return parts(), 200, {"x-kind": "stream"}


@app.get("/events")
async def events():
    key = request.query_string

    async def generate():
        try:
            while True:
                yield b"data: event\n\n"
                await asyncio.sleep(0.005)
        finally:
            tell(key, "ended")

    response = await make_response(generate(), {"content-type": "text/event-stream"})
    response.timeout = None
    return response


@app.get("/background")
async def background():
    key = request.query_string

    async def work():
        tell(key, "worked")

    app.add_background_task(work)
    return "accepted", 202


@app.get("/missing")
async def missing():
    abort(404)


@app.get("/raises")
async def raises():
    raise ValueError("raised in Quart")


@app.websocket("/echo")
async def echo():
    key = websocket.query_string
    try:
        while True:
            await websocket.send(await websocket.receive())
    except asyncio.CancelledError:
        # How Quart tells of the disconnect.
        tell(key, "CancelledError")
        raise


@app.websocket("/both")
async def both():
    """Sends and receives in two tasks."""

    async def sending():
        for number in range(3):
            await websocket.send(str(number))

    async def receiving():
        for _ in range(3):
            await websocket.receive()

    await asyncio.gather(sending(), receiving())
    await websocket.close(1000)


@app.websocket("/refuses")
async def refuses():
    return "not you", 403
