import pytest
from httpx import AsyncClient
from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item_id}")
async def read_item(item_id: int):
    return {"item_id": item_id, "name": "Test Item"}


@pytest.mark.asyncio
async def test_read_item():
    async with AsyncClient(app=app, base_url="http://test") as client:
        response = await client.get("/items/42")
        assert response.status_code == 200
        assert response.json() == {"item_id": 42, "name": "Test Item"}
