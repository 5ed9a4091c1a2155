"""Watching the files of an application."""

import fnmatch
import os
import time

# How often in seconds the files are looked at.
INTERVAL = 0.3


class Watch:
    """The files that `--reload` watches, by the times of their last changes."""

    def __init__(self, settings):
        self.directories = settings.reload_dirs
        self.include = settings.reload_include
        self.exclude = settings.reload_exclude
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
                    if is_like(name, self.include) and not self.is_excluded(folder, name):
                        path = os.path.join(folder, name)
                        try:
                            times[path] = os.stat(path).st_mtime_ns
                        except OSError:
                            pass  # It has been removed meanwhile, or cannot be read.
        return times

    def is_excluded(self, folder, name):
        return is_like(name, self.exclude) or is_like(os.path.join(folder, name), self.exclude)


def is_like(name, patterns):
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
