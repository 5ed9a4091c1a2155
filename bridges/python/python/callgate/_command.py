"""What the command `callgate` and `callgate.run` do."""

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
        configure_logging(settings, log_config)
    except (Unloadable, ValueError) as error:
        return process.fail(error)
    load_app = partial(load, settings) if app is None else partial(of_interface, app, settings)
    try:
        if settings.is_supervised:
            process.bind()
            return Supervisor(process).run()
        return serve_here(process, load_app)
    except ServeError as error:
        return process.fail(*error.args)
    finally:
        process.close()
