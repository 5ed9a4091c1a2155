"""A service in Litestar: controllers, dependencies, streams, events, files, listeners for WebSockets."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated

from journal import tell
from litestar import (
    Controller,
    Litestar,
    Request,
    WebSocket,
    delete,
    get,
    post,
    websocket,
    websocket_listener,
)
from litestar.datastructures import UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Body
from litestar.response import ServerSentEvent, Stream


@dataclass
class Todo:
    title: str
    done: bool = False


class Todos(Controller):
    path = "/todos"

    @get("/{number:int}")
    async def one(self, number: int, store: dict) -> Todo:
        return Todo(f"{store['name']} {number}")

    @post()
    async def add(self, data: Todo) -> Todo:
        return Todo(data.title, True)

    @delete("/{number:int}")
    async def remove(self, number: int) -> None:
        return None


async def store() -> AsyncGenerator[dict, None]:
    yield {"name": "todo"}


@get("/sync", sync_to_thread=True)
def in_a_thread() -> dict[str, str]:
    return {"in": "a thread"}


@get("/stream")
async def stream() -> Stream:
    async def parts():
        for number in range(3):
            await asyncio.sleep(0)
            yield f"part {number} "

    return Stream(parts())


@get("/events")
async def events() -> ServerSentEvent:
    async def generate():
        for number in range(3):
            yield {"data": str(number), "event": "number"}

    return ServerSentEvent(generate())


@post("/upload")
async def upload(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, int]:
    return {"size": len(await data.read())}


@get("/raises")
async def raises() -> None:
    raise ValueError("raised in Litestar")


@get("/state")
async def state(request: Request) -> dict[str, str]:
    return {"state": request.app.state.text}


@websocket_listener("/listener")
async def listener(data: dict[str, int]) -> dict[str, int]:
    return {name: value + 1 for name, value in data.items()}


@websocket("/socket")
async def socket(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect as disconnect:
        tell(socket.scope, int(disconnect.code))


def on_startup(app):
    app.state.text = "set at start-up"


app = Litestar(
    [Todos, in_a_thread, stream, events, upload, raises, state, listener, socket],
    dependencies={"store": Provide(store)},
    on_startup=[on_startup],
)
