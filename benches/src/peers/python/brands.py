"""A list from a database, as `bridges/python/tests/apps/seeds/main.py` has it: FastAPI with asyncpg.

As a program, this makes the table.
"""

import asyncio
import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import Depends, FastAPI

URL = os.environ["CALLGATE_POSTGRES_URL"]
BRANDS = 20


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(URL, min_size=6, max_size=6) as app.state.pool:
        yield


async def connection():
    async with app.state.pool.acquire() as connection:
        yield connection


app = FastAPI(lifespan=lifespan)


@app.get("/brands")
async def brands(connection: asyncpg.Connection = Depends(connection)):
    rows = await connection.fetch("SELECT brand_id, brand_name FROM brand")
    return [dict(row) for row in rows]


async def make_table():
    connection = await asyncpg.connect(URL)
    await connection.execute("DROP TABLE IF EXISTS brand")
    await connection.execute("CREATE TABLE brand (brand_id int, brand_name text)")
    rows = [(number, f"brand {number}") for number in range(BRANDS)]
    await connection.executemany("INSERT INTO brand VALUES ($1, $2)", rows)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(make_table())
