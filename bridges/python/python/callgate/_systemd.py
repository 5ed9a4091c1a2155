"""What a manager of services is told about this process (`sd_notify(3)`), and the sockets that it has opened for it."""

import logging
import os
import socket
import time

# The variables that are for one process.
OF_ONE_PROCESS = (
    "LISTEN_FDS",
    "LISTEN_FDS_FIRST_FD",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "WATCHDOG_PID",
)

log = logging.getLogger("callgate.error")


def notify(*states):
    """Sends states to the manager, if it waits for them."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # An abstract name begins with a zero octet.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto("\n".join(states).encode(), address)
    except OSError as error:
        log.warning("cannot notify systemd: %s", error)


def notify_ready():
    """Tells that the process serves."""
    notify("READY=1")


def notify_reloading():
    """Tells that a process, or workers, are being replaced; `notify_ready` ends this."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={now}")


def notify_main_pid(pid):
    """Tells that another process, which serves, is the main one."""
    notify(f"MAINPID={pid}", "READY=1")


def notify_stopping():
    """Tells that the process stops."""
    notify("STOPPING=1")


class Watchdog:
    """Tells the manager that this process lives, if it watches this process."""

    def __init__(self):
        limit, of = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
        is_watched = limit.isdecimal() and of in (None, str(os.getpid()))
        # Twice in the time after which the manager takes the process for dead.
        self.period = max(int(limit), 2) / 2e6 if is_watched else None
        self.due = time.monotonic()

    def feed(self):
        if self.period is not None and time.monotonic() >= self.due:
            self.due = time.monotonic() + self.period
            notify("WATCHDOG=1")
