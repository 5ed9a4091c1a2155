"""Watching the files of an application."""

import fnmatch
import os
import time

# How often in seconds the files are looked at.
INTERVAL = 0.3

# What is watched and what is not, besides what the settings name.
INCLUDE = ["*.py"]
EXCLUDE = [".*", "*.py[cod]", "*~"]


class Watch:
    """The files that `--reload` watches, by the times of their last changes."""

    def __init__(self, settings):
        self.directories = [os.path.abspath(directory) for directory in settings.reload_dirs]
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
                    if name != "__pycache__" and not self.is_excluded(folder, name)
                ]
                for name in files:
                    if is_like(folder, name, self.include) and not self.is_excluded(folder, name):
                        path = os.path.join(folder, name)
                        try:
                            times[path] = os.stat(path).st_mtime_ns
                        except OSError:
                            pass  # It has been removed meanwhile, or cannot be read.
        return times

    def is_excluded(self, folder, name):
        return is_like(folder, name, self.exclude)


def extended(defaults, patterns, opposite):
    """Returns the default patterns and those of the user, without defaults that the opposite setting names."""
    patterns = [pattern for pattern in defaults if pattern not in opposite] + patterns
    return patterns + [os.path.abspath(pattern) for pattern in patterns]


def is_like(folder, name, patterns):
    """Returns whether a pattern matches the name of a file or its whole path."""
    path = os.path.join(folder, name)
    return any(
        fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path, pattern) for pattern in patterns
    )
