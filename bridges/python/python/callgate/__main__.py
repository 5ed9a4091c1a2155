"""The command `callgate MODULE:APP`."""

import asyncio
import importlib
import logging
import signal
import sys
import traceback
import types

from callgate._callgate import ServeError, Settings, Worker


class Parts:
    """What the native part needs of Python."""

    def __init__(self, app, event_loop):
        self.app = app
        self.event_loop = event_loop
        self.coroutine_type = types.CoroutineType
        self.task_type = asyncio.Task
        self.task_keywords = {"loop": event_loop}
        if sys.version_info >= (3, 12):
            self.task_keywords["eager_start"] = True

    @staticmethod
    async def as_coroutine(awaitable):
        return await awaitable

    @staticmethod
    def log_exception(level, exception):
        logging.getLogger("callgate.error").log(
            getattr(logging, level.upper()), "exception in the application", exc_info=exception
        )


async def serve(worker, app):
    loop = asyncio.get_running_loop()
    done = worker.start(Parts(app, loop))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.shutdown)
    try:
        await done
    finally:
        worker.close()


def main():
    settings = Settings(sys.argv[1:])
    sys.path.insert(0, str(settings.app_dir))
    name, _, attribute = settings.app.partition(":")
    app = getattr(importlib.import_module(name), attribute or "app")
    if settings.factory:
        app = app()
    factory = None
    if settings.event_loop != "asyncio":
        import uvloop
        factory = uvloop.new_event_loop
    try:
        worker = Worker(settings)
        print(worker.addresses, file=sys.stderr, flush=True)
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(serve(worker, app))
    except ServeError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        sys.exit(error.args[1])


if __name__ == "__main__":
    main()
