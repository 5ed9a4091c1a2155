"""Serving in an event loop."""

import asyncio
import contextlib
import os
import signal
import threading

from callgate import _callgate
from callgate._application import of_interface
from callgate._callgate import Settings, Worker
from callgate._logging import configure_logging
from callgate._loop import Parts, mark_as_coroutine_functions

mark_as_coroutine_functions(_callgate.Receive, _callgate.Send)


async def serve(worker, app, on_ready=lambda: None, on_limit=None, replaces_another=False):
    """Serves until the worker is shut down. It may replace another one, which serves until it is ready.

    When the worker has served enough, `on_limit` is called, on any thread, and the worker goes on; without it, the worker ends.
    """
    parts = Parts(app, asyncio.get_running_loop())
    done = worker.start(parts, on_ready, on_limit, replaces_another)
    try:
        # The server ends by itself, and goes on until then.
        await asyncio.shield(done)
    except asyncio.CancelledError:
        worker.shutdown()
        await done
        raise
    finally:
        worker.close()


def is_main_thread():
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def handlers(by_signal):
    """Has signals call functions in the event loop meanwhile, once for each signal.

    Only the main thread has signals: on another one, they are left to the program.
    """
    if not is_main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def on_signal(number, frame):
        loop.call_soon_threadsafe(by_signal[number])

    for number in by_signal:
        # A handler of the loop has it wake up at the signal. It does nothing itself: uvloop may call it twice for one signal.
        loop.add_signal_handler(number, lambda: None)
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in by_signal:
            loop.remove_signal_handler(number)


# The settings with a default for which `None` has a meaning of its own: no limit, or never.
OR_NONE = (
    "timeout_graceful_shutdown",
    "timeout_websocket_handshake",
    "ws_ping_interval",
    "ws_ping_timeout",
)


def arguments_of(settings):
    """Returns settings by name, such as `port=8000`, as the arguments of a command line. Others that are `None` are not set."""
    arguments = []
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        values = value if isinstance(value, (list, tuple)) else [value]
        for one in values:
            if one is None:
                if name not in OR_NONE:
                    continue
                one = "none"
            if isinstance(one, bool):
                one = str(one).lower()
            arguments.append(f"{flag}={one}")
    return arguments


def split_log_config(settings):
    """Returns the settings, and the configuration of `logging` among them if it is an object and no file."""
    log_config = settings.get("log_config")
    if log_config is None or isinstance(log_config, (str, os.PathLike)):
        return settings, None
    return {**settings, "log_config": None}, log_config


# The settings of processes, and of the loading of an application.
OF_PROCESSES = (
    "app_dir",
    "env_file",
    "factory",
    "gc",
    "loop",
    "pid",
    "reload",
    "reload_dir",
    "reload_exclude",
    "reload_include",
    "timeout_upgrade",
    "timeout_worker_healthcheck",
    "workers",
)


def refuse_settings_of_processes(settings):
    for name in OF_PROCESSES:
        is_given = settings.get(name) not in (None, False)
        if is_given and (name, settings[name]) != ("workers", 1):
            raise ValueError(
                f"`{name}` is a setting of processes, and `Server` serves in this one: use `callgate.run`"
            )


def refuse_processes(settings, app):
    """Raises `ValueError` if the settings ask for processes that cannot be had: for an object, or on this thread."""
    if settings.is_supervised and not is_main_thread():
        raise ValueError(
            "a server of several processes needs the main thread, which has the signals"
        )
    if app is not None and (settings.workers > 1 or settings.reload):
        raise ValueError(
            "`workers` and `reload` need the name of the application: run('main:app', ...)"
        )


class Server:
    """A server in an event loop that runs already.

    The settings are those of the command line, by name: `Server(app, port=8000, log_level="warning")`. The sockets are
    bound at once, so `addresses` tells the port that the system has chosen for `port=0`.

    Raises `ServeError` if the server cannot listen, and `ValueError` at settings that are wrong, or those of processes, such as
    `workers`.
    """

    def __init__(self, app, **settings):
        refuse_settings_of_processes(settings)
        settings, log_config = split_log_config(settings)
        settings = Settings.of_program(arguments_of(settings))
        configure_logging(settings, log_config)
        self._app = of_interface(app, settings)
        self._worker = Worker(settings)

    @property
    def addresses(self):
        """The addresses that the server listens on, as text."""
        return self._worker.addresses

    async def serve(self, on_ready=lambda: None):
        """Serves until `shutdown`, and calls `on_ready` when the start-up of the application is complete.

        Cancelling it shuts the server down as well. Signals are left to the program. Raises `ServeError` if the start-up or
        the shutdown of the application fails.
        """
        await serve(self._worker, self._app, on_ready)

    def shutdown(self):
        """Shuts the server down: at the first call in peace, at the second within a second."""
        self._worker.shutdown()


def run(app, **settings):
    """Serves an application until SIGINT or SIGTERM. The settings are those of the command line, by name.

    The application is an object, or its name as `module:attribute`, which `workers` and `reload` need. Ends the program by
    `SystemExit` when the server cannot start.

    An object is served in this process, so `limit_max_requests` and `limit_max_age` end the server.

    On another thread than the main one, signals are left to the program, and the server ends with the process. `Server` can be
    shut down there.
    """
    from callgate._command import serve_in_processes

    settings, log_config = split_log_config(settings)
    is_name = isinstance(app, str)
    arguments = [app if is_name else "-", *arguments_of(settings)]
    app = None if is_name else app
    refuse_processes(Settings(arguments), app)
    status = serve_in_processes(arguments, app, log_config)
    if status != 0:
        raise SystemExit(status)
