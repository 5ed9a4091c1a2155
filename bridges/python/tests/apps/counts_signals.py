"""A program that sends itself SIGTERM in its handler of SIGUSR1, and prints how many it has got."""

import asyncio
import os
import signal
import sys

from callgate._server import handlers

TIMES = 50


async def main():
    received = []
    with handlers({signal.SIGTERM: lambda: received.append(None)}):
        for time in range(TIMES):
            # From a thread: the event loop has been woken by the first signal when the second comes.
            await asyncio.to_thread(os.kill, os.getpid(), signal.SIGUSR1)
            while len(received) <= time:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
    print(len(received))


signal.signal(signal.SIGUSR1, lambda number, frame: os.kill(os.getpid(), signal.SIGTERM))
if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
