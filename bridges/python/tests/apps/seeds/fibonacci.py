from fastapi import FastAPI
import asyncio
from functools import partial
from concurrent.futures import ProcessPoolExecutor

app = FastAPI()
process_executor = ProcessPoolExecutor()


def cpu_bound_task(n):
    # CPU-intensive task
    if n <= 1:
        return n
    return cpu_bound_task(n - 1) + cpu_bound_task(n - 2)


@app.get("/fibonacci/{n}")
async def good_fibonacci(n: int):
    loop = asyncio.get_event_loop()
    result = await loop.run_in_executor(process_executor, partial(cpu_bound_task, n))
    return result
