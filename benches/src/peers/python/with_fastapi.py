"""Small applications of FastAPI."""

import asyncio

from fastapi import FastAPI, WebSocket

app = FastAPI()


@app.get("/json")
async def json():
    return {"message": "Hello, world!"}


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0)
    return {"message": "Hello, world!"}


@app.get("/def")
def in_a_thread():
    return {"message": "Hello, world!"}


@app.websocket("/")
async def echo(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
