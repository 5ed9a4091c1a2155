"""What the command `callgate` and `callgate.run` do."""

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
from callgate._modules import Modules
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
        of_log = Modules(settings.app_dir, sys.modules.keys() - imported_before)
    except (Unloadable, ValueError) as error:
        return process.fail(error)
    load_app = partial(load, settings) if app is None else partial(of_interface, app, settings)
    try:
        if settings.is_supervised:
            process.bind()
            load_app = partial(load_in_worker, settings, log_config, of_log)
            return Supervisor(process, load_app).run()
        return serve_here(process, load_app)
    except ServeError as error:
        return process.fail(*error.args)
    finally:
        process.close()


def load_in_worker(settings, log_config, modules):
    """Returns the application, also after a change of modules that the supervisor has imported."""
    if modules.forget_if_changed():
        try:
            configure_logging(settings, log_config)
        except ValueError as error:
            raise Unloadable(error) from error
    return load(settings)
