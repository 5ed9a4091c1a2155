"""An application of FastAPI: a model, dependencies, handlers in threads, errors, background work and WebSockets."""

import contextlib
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel


class Order(BaseModel):
    article: int
    amount: int = 1


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"articles": {7: "seven"}}


app = FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["https://example.com"])


async def articles(request: Request):
    yield request.state.articles


Articles = Annotated[dict, Depends(articles)]


@app.post("/orders")
async def order(order: Order, articles: Articles, tasks: BackgroundTasks):
    if order.article not in articles:
        raise HTTPException(404, "no such article")
    tasks.add_task(articles.get, order.article)
    return {"article": articles[order.article], "amount": order.amount}


@app.get("/orders/{number}")
def one(number: int, articles: Articles):
    return {"number": number, "article": articles.get(number)}


@app.websocket("/changes")
async def changes(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_json({"changed": await websocket.receive_json()})
    except WebSocketDisconnect:
        pass
