import asyncio
from contextlib import suppress
from fastapi import FastAPI, WebSocket, WebSocketDisconnect


app = FastAPI()


class UserCounter:
    def __init__(self):
        self._sockets: list[WebSocket] = []

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self._sockets.append(websocket)
        await self._send_count()

    async def on_disconnect(self, websocket: WebSocket):
        self._sockets.remove(websocket)
        await self._send_count()

    async def on_receive(self, ws: WebSocket, data: bytes) -> None:
        pass

    async def _send_count(self):
        if self._sockets:
            count_str = str(len(self._sockets))
            task_to_socket = {
                asyncio.create_task(ws.send_text(count_str)): ws for ws in self._sockets
            }
            done, pending = await asyncio.wait(task_to_socket)
            for task_done in done:
                if task_done.exception() is not None:
                    with suppress(ValueError):
                        self._sockets.remove(task_to_socket[task_done])


user_counter = UserCounter()


@app.websocket("/counter")
async def connection_counter(websocket: WebSocket):
    await user_counter.on_connect(websocket)
    try:
        while True:
            data = await websocket.receive_text()
            await user_counter.on_receive(ws=websocket, data=data)
    except WebSocketDisconnect:
        await user_counter.on_disconnect(websocket)
