"""Watching the files of an application."""

import fnmatch
import logging
import os
import time

# How often in seconds the files are looked at.
INTERVAL = 0.3

# What is watched and what is not, besides what the settings name.
INCLUDE = ["*.py"]
EXCLUDE = [".*", "*.py[cod]", "*~"]

log = logging.getLogger("callgate.error")


class Watch:
    """The files that `--reload` watches, by the times of their last changes."""

    def __init__(self, settings):
        included = [pattern for pattern in settings.reload_include if os.path.isdir(pattern)]
        directories = [*settings.reload_dirs, *included]
        self.directories = [os.path.abspath(directory) for directory in directories]
        for directory in self.directories:
            if not os.path.isdir(directory):
                log.warning("there is no folder %s to watch (--reload-dir)", directory)
        self.include = extended(INCLUDE, settings.reload_include, settings.reload_exclude)
        self.exclude = extended(EXCLUDE, settings.reload_exclude, settings.reload_include)
        self.times = self.read()
        self.last = time.monotonic()

    def changed(self):
        """Returns a file that has changed since the last call; None if there is none."""
        if time.monotonic() - self.last < INTERVAL:
            return None
        now = self.read()
        before, self.times, self.last = self.times, now, time.monotonic()
        for path in now.keys() | before.keys():
            if now.get(path) != before.get(path):
                return path
        return None

    def read(self):
        times = {}
        for directory in self.directories:
            for folder, folders, files in os.walk(directory):
                folders[:] = [
                    name
                    for name in folders
                    if name != "__pycache__" and not is_like(folder, name, self.exclude)
                ]
                for name in files:
                    if self.is_watched(folder, name):
                        path = os.path.join(folder, name)
                        try:
                            times[path] = os.stat(path).st_mtime_ns
                        except OSError:
                            pass  # It has been removed meanwhile, or cannot be read.
        return times

    def is_watched(self, folder, name):
        # A name without wildcards counts although it is excluded.
        if name in self.include:
            return True
        return is_like(folder, name, self.include) and not is_like(folder, name, self.exclude)


def extended(defaults, patterns, opposite):
    """Returns the default patterns and those of the user, without defaults that the opposite setting names."""
    return [pattern for pattern in defaults if pattern not in opposite] + patterns


def is_like(folder, name, patterns):
    """Returns whether a pattern matches the name of a file, or the end of its path if it has a slash."""
    path = os.path.join(folder, name)
    # A pattern that is an absolute path remains what it is when it is joined.
    return any(
        fnmatch.fnmatch(path, os.path.join("*", pattern))
        if "/" in pattern
        else fnmatch.fnmatch(name, pattern)
        for pattern in patterns
    )
