"""Sorts random numbers in a thread, while other requests are answered: in Bocadillo."""

import random

from bocadillo import App, configure
from starlette.concurrency import run_in_threadpool

app = App()
configure(app)


def sort_random_numbers(power):
    return len(sorted(random.random() for _ in range(10**power)))


@app.route("/work/{power}")
async def work(req, res, power: int):
    res.text = str(await run_in_threadpool(sort_random_numbers, power))


@app.route("/check")
async def check(req, res):
    res.text = "OK"


@app.route("/")
async def hello(req, res):
    res.text = "Hello, world!"
