"""Replacing this process by a new one of the same program, without a refused connection.

The process starts its command again, and the new one inherits the sockets. It says when it is ready, over a socket
between the two. Only then does the old one hand over and drain. A new one that fails leaves the old one serving.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time

from callgate import _systemd
from callgate._callgate import ServeError, Worker
from callgate._server import is_main_thread

# Set for a successor: the number of the process that it succeeds, which is its parent.
PREDECESSOR = "CALLGATE_PREDECESSOR"

# Set for a successor: the descriptor of its connection to the predecessor, and the sockets.
INHERITED = "CALLGATE_INHERITED"

# What the processes tell each other: that the successor is ready, or why it is not, and that the sockets and their files
# belong to it.
READY, FAILED, HANDED_OVER = b"R", b"F", b"H"

# The time in seconds after which a successor that has been asked to stop is killed.
STOP_TIMEOUT = 5.0

# The exit status of a server that could not start, as of the command line in Rust.
STARTUP_FAILED = 3

# The signals that a supervisor waits for, and which are blocked in what it starts.
SIGNALS = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
}

log = logging.getLogger("callgate.error")


class Command:
    """The command that has started this process: the interpreter by its name, the arguments, the environment and the folder."""

    def __init__(self):
        self.arguments = [interpreter(), *sys.orig_argv[1:]]
        self.environment = dict(os.environ)
        for variable in (*_systemd.OF_ONE_PROCESS, PREDECESSOR, INHERITED):
            self.environment.pop(variable, None)
        self.folder = os.getcwd()
        # The name may be a link that is switched to another folder.
        with contextlib.suppress(KeyError, OSError):
            if os.path.samefile(os.environ["PWD"], self.folder):
                self.folder = os.environ["PWD"]

    def start(self, connection, sockets):
        """Starts it with these sockets, and with the other end of this connection."""
        descriptors = [descriptor for descriptor, _, _ in sockets]
        inherited = json.dumps({"connection": connection.fileno(), "sockets": sockets})
        return subprocess.Popen(
            self.arguments,
            env=self.environment | {PREDECESSOR: str(os.getpid()), INHERITED: inherited},
            cwd=self.folder,
            pass_fds=[connection.fileno(), *descriptors],
        )


def encode(text):
    """Returns a text for another process. Paths in tracebacks may have what is no UTF-8."""
    return text.encode(errors="backslashreplace")


def interpreter():
    """Returns the interpreter, by the name of the folder by which a program beside it was started.

    The first line of a program such as `venv/bin/callgate` has the folder in which its environment was made. The program may
    have been started through a link, which is switched to another environment.
    """
    folder = os.path.abspath(os.path.dirname(sys.orig_argv[1])) if len(sys.orig_argv) > 1 else ""
    with contextlib.suppress(OSError):
        if os.path.samefile(folder, os.path.dirname(sys.executable)):
            return os.path.join(folder, os.path.basename(sys.executable))
    return sys.executable


class Predecessor:
    """The process that this one is to replace."""

    def __init__(self, inherited):
        self.pid = os.getppid()
        self.sockets = [tuple(description) for description in inherited["sockets"]]
        self.connection = socket.socket(fileno=inherited["connection"])
        self.connection.set_inheritable(False)
        self.connection.setblocking(False)

    @classmethod
    def find(cls):
        """Returns the predecessor of this process; None if it has not been started as a successor."""
        pid, inherited = os.environ.pop(PREDECESSOR, None), os.environ.pop(INHERITED, None)
        # A process that a successor starts may have the variables as well, but another parent.
        return cls(json.loads(inherited)) if inherited and pid == str(os.getppid()) else None

    def close_sockets(self):
        """Closes the inherited descriptors, of which the server has duplicates."""
        for descriptor, _, _ in self.sockets:
            os.close(descriptor)

    def tell(self, message):
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def answer(self):
        """Returns whether the predecessor has handed over; None while it has not answered."""
        try:
            return self.connection.recv(1) == HANDED_OVER
        except BlockingIOError:
            return None
        except OSError:
            return False


class Successor:
    """The process that is to replace this one."""

    def __init__(self, command, sockets, limit):
        self.connection, of_successor = socket.socketpair()
        self.connection.setblocking(False)
        self.said = b""
        self.deadline = None if limit is None else time.monotonic() + limit
        self.why = None
        with of_successor:
            self.process = command.start(of_successor, sockets)

    @property
    def pid(self):
        return self.process.pid

    def is_ready(self):
        """Returns whether the process is ready; None while it starts, and the reason once it has failed and ended."""
        with contextlib.suppress(OSError):
            while octets := self.connection.recv(4096):
                self.said += octets
        if self.said.startswith(READY):
            return True
        now = time.monotonic()
        if self.why is None and self.deadline is not None and now >= self.deadline:
            self.why = "the successor was not ready in time"
            self.deadline = now + STOP_TIMEOUT
            self.process.terminate()
        elif self.why is not None and now >= self.deadline:
            self.process.kill()
        if self.process.poll() is None:
            return None
        return False

    def reason(self):
        """Returns why the process has ended."""
        if self.why is not None:
            return self.why
        if self.said.startswith(FAILED):
            return self.said.removeprefix(FAILED).decode(errors="replace")
        code = self.process.returncode
        return (
            f"it ended with the status {code}"
            if code >= 0
            else f"it was ended by the signal {-code}"
        )

    def hand_over(self):
        self.connection.send(HANDED_OVER)


class Process:
    """This process, as its predecessor, its successor and a manager of services see it."""

    def __init__(self, settings):
        self.settings = settings
        self.command = Command()
        self.predecessor = Predecessor.find()
        self.successor = None
        self.worker = None
        self.is_ready = False
        # Whether SIGUSR2 has come. It has its effect once this process is ready.
        self.is_asked = False
        self.is_stopping = False
        self.is_handed_over = False
        self.has_pid_file = False
        self.watchdog = _systemd.Watchdog()
        if is_main_thread():
            signal.signal(signal.SIGUSR2, self.ask_for_upgrade)
            if self.predecessor is not None:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def bind(self):
        """Returns the worker, with its sockets."""
        inherited = None if self.predecessor is None else self.predecessor.sockets
        self.worker = Worker.of_process(self.settings, inherited)
        if self.predecessor is not None:
            self.predecessor.close_sockets()
        else:
            self.write_pid_file()
        for variable in _systemd.OF_ONE_PROCESS:
            os.environ.pop(variable, None)
        return self.worker

    def write_pid_file(self):
        """Writes the number of this process into a file, by which others signal it."""
        path = self.settings.pid
        if path is None:
            return
        try:
            path.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise ServeError(
                f"cannot write {path}: {error.strerror} (--pid)", STARTUP_FAILED
            ) from error
        self.has_pid_file = True

    def on_ready(self):
        """Tells that this process serves."""
        self.is_ready = True
        if self.predecessor is not None:
            self.predecessor.tell(READY)
        else:
            _systemd.notify_ready()

    def fail(self, text, status=STARTUP_FAILED):
        """Tells that this process, or a worker, does not start. Returns the exit status."""
        self.tell_failure(str(text))
        return status

    def tell_failure(self, text):
        print(f"error: {text}", file=sys.stderr, flush=True)
        if self.predecessor is not None:
            self.predecessor.tell(FAILED + encode(text))

    def ask_for_upgrade(self, *_):
        """Takes note of SIGUSR2. It may come within any code of the application, so the upgrade begins at the next `poll`."""
        self.is_asked = True

    def on_stopping(self):
        """Tells that this process stops."""
        if self.is_stopping:
            return
        self.is_stopping = True
        if self.successor is not None and not self.is_handed_over:
            self.successor.process.terminate()
        if not self.is_handed_over and self.predecessor is None:
            _systemd.notify_stopping()

    def close(self):
        """Ends what this process has begun."""
        if self.has_pid_file and not self.is_handed_over:
            self.settings.pid.unlink(missing_ok=True)

    def upgrade(self):
        """Begins to replace this process, as SIGUSR2 asks."""
        if os.getpid() == 1:
            log.warning("SIGUSR2 has no effect: the container would end with process 1")
            return
        if self.is_stopping or self.successor is not None:
            what = "the end" if self.is_stopping else "an upgrade"
            log.warning("SIGUSR2 has no effect during %s of this process", what)
            return
        if not self.is_ready or self.predecessor is not None:
            self.is_asked = True
            return
        _systemd.notify_reloading()
        try:
            self.successor = Successor(
                self.command, self.worker.sockets, self.settings.timeout_upgrade
            )
        except OSError as error:
            self.on_upgrade_failed(f"cannot start {self.command.arguments[0]}: {error.strerror}")
            return
        log.info("starting process %s as successor (SIGUSR2)", self.successor.pid)

    def is_successor(self, pid):
        return self.successor is not None and self.successor.pid == pid

    def on_end_of_successor(self, state):
        """Takes note of its end, which others than its object have waited for."""
        self.successor.process.returncode = os.waitstatus_to_exitcode(state)

    def on_upgrade_failed(self, reason):
        self.successor = None
        log.error("the upgrade has failed, and this process goes on: %s", reason)
        _systemd.notify_ready()

    def poll(self, shut_down):
        """Hears the predecessor and the successor, and calls `shut_down` when this process is to end."""
        self.watchdog.feed()
        if self.is_asked:
            self.is_asked = False
            self.upgrade()
        if self.is_stopping:
            return
        if self.predecessor is not None and (answer := self.predecessor.answer()) is not None:
            pid = self.predecessor.pid
            if answer:
                self.predecessor = None
                self.take_over(pid)
            else:
                log.error(
                    "this process does not take over: process %s does not wait for it any more", pid
                )
                shut_down()
        elif self.successor is not None and (is_ready := self.successor.is_ready()) is not None:
            if is_ready:
                self.hand_over(shut_down)
            else:
                self.on_upgrade_failed(self.successor.reason())

    def take_over(self, pid):
        self.worker.own_files(True)
        try:
            self.write_pid_file()
        except ServeError as error:
            log.error("%s", error.args[0])
        log.info("this process has taken over from process %s", pid)

    def hand_over(self, shut_down):
        self.worker.own_files(False)
        try:
            self.successor.hand_over()
        except OSError as error:
            self.worker.own_files(True)
            self.on_upgrade_failed(f"the successor is gone: {error.strerror}")
            return
        self.is_handed_over = True
        log.info("process %s has taken over, and this process ends", self.successor.pid)
        _systemd.notify_main_pid(self.successor.pid)
        shut_down()
