"""Sorts random numbers in a thread, while other requests are answered: in Starlette."""

import random

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def sort_random_numbers(power):
    return len(sorted(random.random() for _ in range(10**power)))


async def work(request):
    return PlainTextResponse(
        str(await run_in_threadpool(sort_random_numbers, request.path_params["power"]))
    )


async def check(request):
    return PlainTextResponse("OK")


app = Starlette(routes=[Route("/work/{power:int}", work), Route("/check", check)])
