"""An application in the event loop of a thread of a program in Rust."""

import asyncio
import logging
import os
import site
import sys
import types

from . import _application, log
from ._application import Unloadable, Wsgi, own_frames
from ._loop import Parts, WsgiParts, loop_factory


def load(**options):
    """Returns the application of these options, and what makes its event loop."""
    # Messages name an option as the program has it.
    settings = types.SimpleNamespace(option=lambda name: f"`{name.replace('-', '_')}`", **options)
    try:
        enter_virtual_environment()
        return _application.load(settings, pass_logging_on), loop_factory(settings)
    except Unloadable:
        raise
    # A program in Rust goes on where one in Python ends by SystemExit.
    except BaseException as error:
        raise Unloadable(
            f"loading `{settings.app}` raised an exception:\n{own_frames(error)}"
        ) from error


def enter_virtual_environment():
    """Has the packages of the environment that is active in place of those of the system, as its interpreter does."""
    path = os.environ.get("VIRTUAL_ENV")
    if not path or sys.prefix != sys.base_prefix:
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = os.path.join(path, "lib", version, "site-packages")
    if not os.path.isdir(packages):
        raise Unloadable(
            f"{path} (VIRTUAL_ENV) is no environment of {version}, which this program is built with: "
            f"build it with PYO3_PYTHON={path}/bin/python"
        )
    of_system = {*site.getsitepackages(), site.getusersitepackages()}
    sys.path[:] = [entry for entry in sys.path if entry not in of_system]
    site.addsitedir(packages)
    sys.prefix = sys.exec_prefix = path


def wsgi_parts(app):
    """Returns what the native part needs for an application of WSGI; None for another."""
    if not isinstance(app, Wsgi):
        return None
    pass_logging_on()
    return WsgiParts(app, log_exception)


def run(native, app, make_loop):
    """Runs the event loop until the program has no use for the application."""
    pass_logging_on()
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serve(native, app))
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()


async def serve(native, app):
    done = native.start(EmbeddedParts(app, asyncio.get_running_loop()))
    try:
        await done
    finally:
        native.close()


class EmbeddedParts(Parts):
    """What the native part needs from Python."""

    @staticmethod
    def log_exception(level, exception):
        log_exception(level, exception)


def log_exception(level, exception):
    log(level, "callgate.error", f"exception in the application:\n{own_frames(exception)}")


def pass_logging_on():
    """Passes the lines of `logging` to the log of the program, unless the application has a handler for them."""
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(Handler())


class Handler(logging.Handler):
    """Passes the lines of `logging` to the log of the program."""

    def emit(self, record):
        try:
            log(record.levelname.lower(), record.name, self.format(record))
        except Exception:
            self.handleError(record)
