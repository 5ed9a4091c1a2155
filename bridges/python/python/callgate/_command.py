"""What the command `callgate` and `callgate.run` do."""

import os
import sys
from functools import partial

from callgate._application import (
    Unloadable,
    load,
    look_in_app_dir,
    of_interface,
    read_env_file,
)
from callgate._callgate import ServeError, Settings
from callgate._logging import configure_logging
from callgate._process import serve_here
from callgate._server import refuse_processes
from callgate._supervisor import Supervisor
from callgate._upgrade import Process


def serve_in_processes(arguments, app=None, log_config=None):
    """Serves the application that a command line names, or this object, until a signal. Returns the exit status."""
    settings = Settings(arguments)
    process = Process(settings)
    try:
        if settings.env_file is not None:
            read_env_file(settings.env_file)
            # Its variables may be those of flags.
            settings = process.settings = Settings(arguments)
            refuse_processes(settings, app)
        if app is None:
            # The configuration of `logging` may name classes of the application.
            look_in_app_dir(settings)
        imported_before = set(sys.modules)
        configure_logging(settings, log_config)
        of_log = modules_in(settings.app_dir, sys.modules.keys() - imported_before)
    except (Unloadable, ValueError) as error:
        return process.fail(error)
    load_app = partial(load, settings) if app is None else partial(of_interface, app, settings)
    try:
        if settings.is_supervised:
            if of_log:
                load_app = partial(load_anew, settings, log_config, of_log)
            process.bind()
            return Supervisor(process, load_app).run()
        return serve_here(process, load_app)
    except ServeError as error:
        return process.fail(*error.args)
    finally:
        process.close()


def modules_in(folder, names):
    """Returns those modules that are in a folder, besides packages that are installed in it."""
    folder = os.path.join(os.path.abspath(folder), "")
    files = [(name, getattr(sys.modules[name], "__file__", None) or "") for name in names]
    return [
        name
        for name, file in files
        if os.path.abspath(file).startswith(folder) and "site-packages" not in file
    ]


def load_anew(settings, log_config, modules):
    """Returns the application, in a worker. These modules of it were imported before the workers were started, for the log."""
    for name in modules:
        sys.modules.pop(name, None)
    try:
        configure_logging(settings, log_config)
    except ValueError as error:
        raise Unloadable(error) from error
    return load(settings)
