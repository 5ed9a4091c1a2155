"""An application whose requests start processes, in each way that Python has."""

import asyncio
import multiprocessing
import os
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor

from raw_http import body, read, start, stops_in_lifespan


def double(number):
    return 2 * number


def tell_double(pipe, number):
    pipe.send(double(number))


async def fork():
    """A child that leaves at once, and one that leaves after a moment."""
    for leave in (lambda: None, lambda: time.sleep(0.01)):
        child = os.fork()
        if child == 0:
            leave()
            os._exit(7)
        _, state = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(state) == 7
    return "forked"


async def run():
    """A program, with the event loop blocked meanwhile, and beside it."""
    command = ["sh", "-c", "echo run"]
    first = subprocess.run(command, capture_output=True, check=True).stdout
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    third, _ = await process.communicate()
    assert first == second.stdout == third
    return first.decode().strip()


async def processes():
    """Processes of `multiprocessing`, started by a fork and anew."""
    answers = []
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=tell_double, args=(writer, 21))
        process.start()
        answers.append(await asyncio.to_thread(reader.recv))
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    return str(answers)


async def pool():
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        loop = asyncio.get_running_loop()
        return str(await loop.run_in_executor(executor, double, 21))


async def outlive():
    """Leaves a child behind that has inherited the connection, and answers with its number."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    return str(child)


async def signals():
    """Answers with the signals that a program has blocked and ignored which a request starts."""
    command = ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


CALLS = (fork, run, processes, pool, outlive, signals)
PATHS = {f"/{call.__name__}": call for call in CALLS}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await read(receive)
    text = await PATHS[scope["path"]]()
    await send(start(headers=[(b"x-process", str(os.getpid()).encode())]))
    await send(body(text.encode()))
