"""The part in Python: an application of FastAPI with a lifespan and a WebSocket."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect


@asynccontextmanager
async def lifespan(app):
    print("Python has started", flush=True)
    yield {"greeting": "Hello from Python"}
    print("Python has ended", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def home(request: Request):
    return {"message": request.state.greeting}


@app.post("/length")
async def length(request: Request):
    return len(await request.body())


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
