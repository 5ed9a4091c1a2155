"""What the command `callgate` and `callgate.run` do."""

from functools import partial

from callgate._application import Unloadable, load, look_in_app_dir, read_env_file
from callgate._callgate import ServeError
from callgate._logging import configure_logging
from callgate._process import serve_here
from callgate._supervisor import Supervisor
from callgate._upgrade import Process


def serve_in_processes(settings, load_app=None):
    """Serves the application of the settings, or that of this function, until a signal. Returns the exit status."""
    process = Process(settings)
    try:
        if settings.env_file is not None:
            read_env_file(settings.env_file)
        if load_app is None:
            # The configuration of `logging` may name classes of the application.
            look_in_app_dir(settings)
        configure_logging(settings)
    except (Unloadable, ValueError) as error:
        return process.fail(error)
    try:
        if settings.is_supervised:
            process.bind()
            return Supervisor(process).run()
        return serve_here(process, load_app or partial(load, settings))
    except ServeError as error:
        return process.fail(*error.args)
    finally:
        process.close()
