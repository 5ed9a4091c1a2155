"""Finding an application, and what kind of application it is."""

import importlib
import inspect
import logging
import os
import sys
import traceback
import warnings


class Unloadable(Exception):
    """There is no application. The text says why, and what to do."""


class NeedsEventLoop(Unloadable):
    """The application can be loaded in an event loop that runs: its module begins tasks, for example."""


def read_env_file(path):
    """Sets the environment variables of a file, as python-dotenv reads it. Those that are set already stay."""
    try:
        from dotenv import load_dotenv
    except ModuleNotFoundError as error:
        raise Unloadable(
            "--env-file needs the package python-dotenv: pip install python-dotenv"
        ) from error
    try:
        with open(path, encoding="utf-8") as file:
            load_dotenv(stream=file)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unloadable(f"cannot read {path}: {reason} (--env-file)") from error


def load(settings, on_imported=lambda: None):
    """Returns the application of the settings: one of ASGI 3, or a `Wsgi`. Calls `on_imported` once its module is imported."""
    look_in_app_dir(settings)
    found = find(settings)
    on_imported()
    return of_interface(found, settings)


def failed(what, error):
    """Returns the end of the loading by an exception of the application."""
    text = f"{what} raised an exception:\n{own_frames(error)}"
    if not isinstance(error, RuntimeError) or str(error) != "no running event loop":
        return Unloadable(text)
    # The coroutine of the task that did not begin is forgotten here.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        traceback.clear_frames(error.__traceback__)
    return NeedsEventLoop(text)


def look_in_app_dir(settings):
    """Has modules of the application looked for in its folder first."""
    directory = str(settings.app_dir)
    entry = "" if directory == "." else directory
    if entry not in sys.path:
        sys.path.insert(0, entry)


def find(settings):
    """Returns what `module:attribute` names."""
    target = settings.app
    name, _, path = target.partition(":")
    if not name or not path:
        raise Unloadable(
            f"`{target}` names no application: give module:attribute, such as main:app"
        )
    try:
        value = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise failed(f"importing `{name}`", error) from error
        raise Unloadable(
            f"there is no module `{error.name}` in {os.path.abspath(settings.app_dir)} "
            f"({settings.option('app-dir')} names another folder)"
        ) from error
    except Exception as error:
        failure = failed(f"importing `{name}`", error)
        if isinstance(failure, NeedsEventLoop):
            forget_package(name)
        raise failure from error
    for attribute in path.split("."):
        try:
            value = getattr(value, attribute)
        except AttributeError:
            raise Unloadable(
                f"the module `{name}` has no `{path}`: give module:attribute, such as main:app"
            ) from None
    return value


def forget_package(name):
    """Has the package of a module imported anew: one that has failed is forgotten, and its submodules are not."""
    package = name.partition(".")[0]
    for module in [module for module in sys.modules if f"{module}.".startswith(f"{package}.")]:
        del sys.modules[module]


def own_frames(error):
    """Returns the traceback of an exception without the frames of this package and those of the import system."""
    error.__traceback__ = without_server(error.__traceback__)
    return "".join(traceback.format_exception(error)).rstrip()


def without_server(tb):
    """Returns a traceback from its first frame of the application on."""
    here = os.path.dirname(__file__)
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        if not (file.startswith((here, "<frozen importlib")) or file == importlib.__file__):
            break
        tb = tb.tb_next
    return tb


class Wsgi:
    """An application of WSGI, and how it is run."""

    def __init__(self, app, settings):
        self.app = app
        self.threads = settings.wsgi_threads
        # In a program in Rust there is no setting for this.
        self.has_several_processes = getattr(settings, "workers", 1) > 1


def of_interface(app, settings):
    """Returns the application as one of ASGI 3, or as a `Wsgi`. Calls what returns it."""
    if settings.factory or looks_like_factory(app):
        if not settings.factory:
            logging.getLogger("callgate.error").warning(
                "`%s` needs no arguments, so it is called to get the application (%s)",
                settings.app,
                settings.option("factory"),
            )
        try:
            app = app()
        except Exception as error:
            raise failed(f"`{settings.app}()`", error) from error
    if not callable(app):
        raise Unloadable(
            f"`{settings.app}` is no application, but of the type `{type(app).__name__}`: "
            "name what takes (scope, receive, send) or (environ, start_response)"
        )
    interface = settings.interface if settings.interface != "auto" else interface_of(app)
    if interface == "wsgi":
        return Wsgi(app, settings)
    if interface == "asgi2":
        if not takes(app, 1):
            raise Unloadable(f"`{settings.app}` does not take (scope)")
        return of_asgi_2(app)
    if takes(app, 0) and not takes(app, 3):
        raise Unloadable(f"`{settings.app}` does not take (scope, receive, send)")
    return app


def interface_of(app):
    """Returns the interface of an application, by the arguments that it takes."""
    if takes(app, 3):
        return "asgi3"
    if takes(app, 2):
        return "wsgi"
    return "asgi2" if takes(app, 1) else "asgi3"


def looks_like_factory(app):
    """Returns whether this needs no arguments, and has names for those that it takes, as no application does."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(
        parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
        for parameter in parameters
    )


def of_asgi_2(app):
    """Returns an application of ASGI 2, which is called twice, as one of ASGI 3."""

    async def asgi_3(scope, receive, send):
        scope["asgi"] = {**scope["asgi"], "version": "2.0"}
        await app(scope)(receive, send)

    return asgi_3


def takes(app, count):
    """Returns whether the application can be called with this number of arguments."""
    try:
        inspect.signature(app).bind(*(None,) * count)
    except TypeError:
        return False
    except ValueError:
        pass  # A callable without a signature.
    return True
