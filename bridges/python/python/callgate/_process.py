"""Serving as one process, and in each process of several."""

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import signal
import sys

from callgate._application import NeedsEventLoop, Unloadable
from callgate._callgate import ServeError
from callgate._loop import loop_factory
from callgate._server import handlers, is_main_thread, serve

# How often in seconds a process asks for what its predecessor, its successor and its workers have told.
PERIOD = 0.25

# The number of new objects after which the collector of cycles looks at them, with `--gc tuned`.
YOUNG_OBJECTS = 10_000

log = logging.getLogger("callgate.error")


def serve_here(process, load_app):
    """Serves in this process until SIGINT or SIGTERM, or until another takes its place. Returns the exit status."""

    def signals_of(worker):
        def stop():
            process.on_stopping()
            worker.shutdown()

        def end():
            process.on_stopping()
            worker.begin_shutdown()

        def poll():
            process.poll(end)
            asyncio.get_running_loop().call_later(PERIOD, poll)

        def reload():
            log.info(
                "SIGHUP loads certificates and opens the access log anew in a process without workers, "
                "and does nothing else"
            )
            worker.reload()

        poll()
        # The first of these shuts the worker down in peace, the second at once.
        by_signal = {signal.SIGINT: stop, signal.SIGTERM: stop}
        # The application may have a use of its own for SIGHUP, and `nohup` ignores it.
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            by_signal[signal.SIGHUP] = reload
        return by_signal

    status = serve_until_signal(process, load_app, process.bind, signals_of, process.on_ready)
    process.on_stopping()
    return status


def serve_until_signal(
    process, load_app, bind, signals_of, on_ready, on_limit=None, replaces_another=False
):
    """Serves in this process until the worker is shut down. Returns the exit status."""
    settings = process.settings
    app, worker, status = None, None, 0

    async def main():
        nonlocal app, worker

        def ready():
            if settings.gc == "tuned":
                tune_collector()
            on_ready()

        if app is None:
            with interruptible(settings):
                app = load_again(load_app)
        worker = bind()
        is_successor = replaces_another or process.predecessor is not None
        with handlers(signals_of(worker)):
            await serve(worker, app, ready, on_limit, is_successor)

    try:
        make_loop = loop_factory(settings) or asyncio.new_event_loop
        with current_loop(make_loop) as event_loop:
            # A module may run an event loop of its own, and do what Django forbids in one. One that needs a loop that runs,
            # as for tasks, is imported once more.
            with contextlib.suppress(NeedsEventLoop):
                app = load_app()
            # The module may have closed it.
            if event_loop.is_closed():
                event_loop = make_loop()
            with asyncio.Runner(loop_factory=lambda: event_loop) as runner:
                runner.run(main())
    except Unloadable as error:
        status = process.fail(error)
    except ServeError as error:
        status = process.fail(*error.args)
    if worker is not None and worker.has_threads:
        log.warning("a thread of the application goes on, and ends with the process")
        atexit.register(end_process, status)
    return status


@contextlib.contextmanager
def current_loop(make_loop):
    """Makes the event loop, and has `asyncio.get_event_loop` return it meanwhile, also while it does not run."""
    event_loop = make_loop()
    asyncio.set_event_loop(event_loop)
    try:
        yield event_loop
    finally:
        asyncio.set_event_loop(None)
        event_loop.close()


def load_again(load_app):
    """Returns an application whose loading needs an event loop that runs."""
    try:
        return load_app()
    except Unloadable as error:
        raise Unloadable(
            f"{error}\n(this is the second attempt: outside of the event loop, the first one raised `no running event loop`)"
        ) from error


@contextlib.contextmanager
def interruptible(settings):
    """Has SIGINT raise `KeyboardInterrupt` at once, where the event loop would wait until it has its turn."""
    before = signal.getsignal(signal.SIGINT)
    # A terminal signals workers too, and their supervisor decides what it means.
    is_replaced = is_main_thread() and callable(before) and not settings.is_supervised
    if is_replaced:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        # The module may have set a handler of its own.
        if is_replaced and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


def end_process(status):
    """Ends the process at once, as the last thing of its interpreter, which cannot end while threads are in an extension."""
    atexit.unregister(end_process)
    end_interpreter()
    os._exit(status)


def tune_collector():
    """Has the collector of cycles leave out what the start-up has made, and run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def end_interpreter():
    """Does what an interpreter does at its end, which `os._exit` leaves out."""
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
