"""Modules of the application that a supervisor has imported, because the configuration of `logging` names classes of theirs."""

import os
import sys
import sysconfig


class Modules:
    """Modules in the folder of the application, except those of packages that are installed there, with the times of their files."""

    def __init__(self, folder, names):
        folder = os.path.join(os.path.abspath(folder), "")
        installed = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))
        locations = {name: location(sys.modules[name]) for name in names}
        self.locations = {
            name: place
            for name, place in locations.items()
            if place is not None
            and place.startswith(folder)
            and not any(part in place for part in installed)
        }
        self.times = self.read_times()

    def read_times(self):
        return {name: modified(place) for name, place in self.locations.items()}

    def forget_if_changed(self):
        """Has all of them imported anew if a file has changed. Returns whether it has."""
        has_changed = self.times != self.read_times()
        if has_changed:
            for name in self.locations:
                sys.modules.pop(name, None)
        return has_changed


def location(module):
    """Returns the file of a module, or the first folder of a package without a file; None for a module of the interpreter."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file and os.path.abspath(file)


def modified(path):
    """Returns when a file was changed; None if there is none, and for a folder, whose time says nothing about its modules."""
    try:
        return os.stat(path).st_mtime_ns if os.path.isfile(path) else None
    except OSError:
        return None
