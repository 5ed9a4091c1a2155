# FastAPI program
from contextlib import asynccontextmanager
import asyncpg
from asyncpg import Connection, Record
from asyncpg.pool import Pool
from typing import AsyncGenerator, List, Dict
from fastapi import Depends, FastAPI


db_pool: Pool


async def create_database_pool():
    global db_pool
    db_pool = await asyncpg.create_pool(
        host="127.0.0.1",
        port=5432,
        user="postgres",
        password="password",
        database="products",
        min_size=6,
        max_size=6,
    )


async def destroy_database_pool():
    global db_pool
    await db_pool.close()


@asynccontextmanager
async def lifespan(app: FastAPI):
    await create_database_pool()
    yield
    await destroy_database_pool()


async def get_connection() -> AsyncGenerator[None, Connection]:
    async with db_pool.acquire() as conn:
        yield conn


app = FastAPI(lifespan=lifespan)


@app.get("/brands")
async def brands(conn: Connection = Depends(get_connection)):
    brand_query = "SELECT brand_id, brand_name FROM brand"
    results: List[Record] = await conn.fetch(brand_query)
    result_as_dict: List[Dict] = [dict(brand) for brand in results]
    return result_as_dict
