"""Setting up the loggers `callgate.error` and `callgate.access`."""

import copy
import logging
import logging.config
import logging.handlers


def use_log_config(config):
    """Sets `logging` up by a dictionary, or by what `fileConfig` takes. The loggers that exist stay, unless a dictionary says
    otherwise.
    """
    if isinstance(config, dict):
        logging.config.dictConfig({"disable_existing_loggers": False, **config})
    else:
        logging.config.fileConfig(config, disable_existing_loggers=False)


def read_log_config(path):
    """Reads a file: as JSON or YAML by the end of its name. Another is of the form of `fileConfig`, which takes its path."""
    if path.endswith(".json"):
        from json import loads
    elif path.endswith((".yaml", ".yml")):
        try:
            from yaml import safe_load as loads
        except ModuleNotFoundError:
            raise ValueError("YAML needs the package PyYAML: pip install PyYAML") from None
    else:
        return path
    with open(path, encoding="utf-8") as file:
        return loads(file.read())


def configure_logging(settings, log_config=None):
    """Sets up the loggers of the server, unless the program has given them handlers.

    Raises `ValueError` if a file of the settings, or the object of a program, cannot be used.
    """
    if log_config is not None or settings.log_config is not None:
        path, setting = str(settings.log_config), "--log-config"
        if log_config is not None:
            path, setting = "an object", "log_config"
        try:
            use_log_config(read_log_config(path) if log_config is None else log_config)
        except Exception as error:
            reason = f"{error}: {error.__cause__}" if error.__cause__ else error
            raise ValueError(f"cannot set up `logging` by {path}: {reason} ({setting})") from error
        return
    for name in ("callgate.error", "callgate.access"):
        logger = logging.getLogger(name)
        if logger.hasHandlers():
            continue
        if settings.log_file is not None:
            handler = log_file_handler(settings.log_file)
        else:
            handler = logging.StreamHandler()
        is_coloured = settings.has_colours(handler.stream.isatty())
        formatter = ColouredFormatter if is_coloured else logging.Formatter
        process = " [%(process)d]" if settings.is_supervised else ""
        handler.setFormatter(formatter(f"%(asctime)s{process} %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(settings.log_level)
        logger.propagate = False


def log_file_handler(path):
    try:
        return logging.handlers.WatchedFileHandler(path)
    except OSError as error:
        raise ValueError(f"cannot open {path}: {error.strerror} (--log-file)") from error


class ColouredFormatter(logging.Formatter):
    """Shows the level in a colour."""

    colours = {
        logging.DEBUG: "36",
        logging.INFO: "32",
        logging.WARNING: "33",
        logging.ERROR: "31",
        logging.CRITICAL: "1;31",
    }

    def formatMessage(self, record):
        record = copy.copy(record)
        colour = self.colours.get(record.levelno, "0")
        record.levelname = f"\033[{colour}m{record.levelname}\033[0m"
        return super().formatMessage(record)
