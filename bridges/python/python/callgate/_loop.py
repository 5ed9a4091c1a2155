"""What the native part needs of an event loop."""

import asyncio
import contextvars
import inspect
import logging
import sys
import types

from ._application import Unloadable, Wsgi, without_server


def mark_as_coroutine_functions(*functions):
    """Has `inspect` and `asyncio` take these types of callables for coroutine functions."""

    async def coroutine_function():
        pass

    if hasattr(inspect, "markcoroutinefunction"):
        inspect.markcoroutinefunction(coroutine_function)
    marks = dict(vars(coroutine_function))
    marks["_is_coroutine"] = getattr(asyncio.coroutines, "_is_coroutine", None)
    for function in functions:
        for name, value in marks.items():
            setattr(function, name, value)


class Parts:
    """What the native part needs from Python."""

    coroutine_type = types.CoroutineType
    task_type = asyncio.Task

    def __init__(self, app, event_loop):
        self.app = app
        self.wsgi = WsgiParts(app, self.log_exception) if isinstance(app, Wsgi) else None
        self.event_loop = event_loop
        self.task_keywords = {"loop": event_loop}
        self.turn_keywords = {"context": contextvars.copy_context()}
        # A call that does not wait ends in the first step of its task, which is taken at once.
        self.first_step = None
        if sys.version_info >= (3, 12):
            self.task_keywords["eager_start"] = True
        elif hasattr(event_loop, "__dict__"):
            self.first_step = vars(event_loop), asyncio.tasks._current_tasks

    @staticmethod
    async def as_coroutine(awaitable):
        return await awaitable

    @staticmethod
    def strip(exception):
        exception.__traceback__ = without_server(exception.__traceback__)

    @classmethod
    def log_exception(cls, level, exception):
        cls.strip(exception)
        logging.getLogger("callgate.error").log(
            logging.getLevelNamesMapping()[level.upper()],
            "exception in the application",
            exc_info=exception,
        )


class WsgiParts:
    """What the native part needs from Python for an application of WSGI."""

    def __init__(self, wsgi, log_exception):
        self.app = wsgi.app
        self.threads = wsgi.threads
        self.has_several_processes = wsgi.has_several_processes
        self.context = contextvars.copy_context()
        self.log_exception = log_exception


def loop_factory(settings):
    """Returns what makes the event loop; None for that of asyncio."""
    if settings.event_loop == "asyncio":
        return None
    try:
        import uvloop
    except ModuleNotFoundError as error:
        if settings.event_loop == "uvloop":
            raise Unloadable(
                f"there is no package uvloop: pip install uvloop, or give {settings.option('loop')} asyncio"
            ) from error
        return None
    return uvloop.new_event_loop
