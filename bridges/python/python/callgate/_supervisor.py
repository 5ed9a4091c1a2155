"""Workers: processes that share the sockets of the process that starts them."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from functools import partial

from callgate import _systemd
from callgate._process import PERIOD, end_interpreter, serve_until_signal
from callgate._upgrade import SIGNALS, encode
from callgate._watch import Watch

# The longest and the shortest time in seconds before a worker that has ended early is replaced.
LONGEST_PAUSE = 30.0
SHORTEST_PAUSE = 0.5

# How often in seconds a worker tells that its event loop makes progress.
HEARTBEAT_PERIOD = 1.0

# What a worker tells its supervisor: that its event loop makes progress, that it is to be replaced, and, as the last thing,
# why it does not start.
PROGRESS, SERVED_ENOUGH, FAILED = b".", b"e", b"F"

# The most octets of a failure that a worker tells, which its pipe has room for.
MOST_OF_FAILURE = 30_000

# The signal by which the supervisor has a worker end at once.
STOP_AT_ONCE = signal.SIGQUIT

log = logging.getLogger("callgate.error")


class Child:
    """A worker as a process, as its supervisor sees it."""

    def __init__(self, process, load_app, siblings, replaces_another):
        self.started = time.monotonic()
        self.last_heartbeat = None
        self.has_served_enough = False
        # Why it has not started, until that is told.
        self.failure = b""
        self.is_ending = False
        self.reader, writer = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(self.reader)
            os.close(writer)
            raise
        if self.pid == 0:
            for child in (self, *siblings):
                os.close(child.reader)
            os._exit(self.work(process, load_app, writer, replaces_another))
        os.close(writer)
        os.set_blocking(self.reader, False)

    def work(self, process, load_app, writer, replaces_another):
        """Serves, in the child. Returns the exit status."""
        status = 1
        os.set_blocking(writer, False)
        # The supervisor prints it, once for all workers.
        process.tell_failure = lambda text: tell(writer, FAILED + encode(text)[-MOST_OF_FAILURE:])
        try:
            # A terminal and a manager of services may signal all processes. The supervisor decides what it means. Programs that
            # the application starts have the defaults again, as they would not if the signals were ignored.
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                signal.signal(number, lambda *_: None)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            status = serve_until_signal(
                process,
                load_app,
                lambda: process.worker,
                signals_of_child,
                partial(send_heartbeat, writer),
                partial(tell, writer, SERVED_ENOUGH),
                replaces_another,
            )
        except SystemExit as exit:
            code = 0 if exit.code is None else exit.code
            status = code if isinstance(code, int) else process.fail(code, 1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(Exception):
                end_interpreter()
        return status

    def read_messages(self):
        """Reads what the worker has told. It is ready once it has told of progress."""
        with contextlib.suppress(BlockingIOError):
            while told := os.read(self.reader, 4096):
                if self.failure:
                    self.failure += told
                    continue
                signs, failed, failure = told.partition(FAILED)
                self.failure = failed + failure
                self.has_served_enough |= SERVED_ENOUGH in signs
                if PROGRESS in signs:
                    self.last_heartbeat = time.monotonic()

    @property
    def is_ready(self):
        return self.last_heartbeat is not None

    def stop(self):
        """Has the worker end in peace. Its end is no failure."""
        self.is_ending = True
        self.signal(signal.SIGTERM)

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close(self):
        os.close(self.reader)


def signals_of_child(worker):
    """SIGTERM shuts a worker down in peace, however often it comes, and STOP_AT_ONCE at once."""
    requests = []

    def stop(times):
        while len(requests) < times:
            requests.append(None)
            worker.shutdown()

    return {signal.SIGTERM: partial(stop, 1), STOP_AT_ONCE: partial(stop, 2)}


def send_heartbeat(writer):
    """Tells the supervisor, again and again, that the event loop makes progress."""
    if tell(writer, PROGRESS):
        asyncio.get_running_loop().call_later(HEARTBEAT_PERIOD, send_heartbeat, writer)


def tell(writer, what):
    """Tells the supervisor something, unless the pipe is full. Returns whether the supervisor runs."""
    try:
        os.write(writer, what)
    except BlockingIOError:
        pass
    except BrokenPipeError:
        # Nobody would stop this process.
        os.kill(os.getpid(), signal.SIGTERM)
        return False
    return True


class Supervisor:
    """Keeps workers running that share their sockets.

    A worker that dies is replaced, after a pause that grows while it dies early. A worker that has served enough is replaced
    by one that has started before the old one stops. So are all workers at SIGHUP, and at a change with `--reload`. SIGINT and
    SIGTERM are passed on. SIGUSR2 replaces the supervisor with its workers. SIGTTIN adds a worker, and SIGTTOU stops one.
    """

    def __init__(self, process, load_app):
        self.process = process
        self.load_app = load_app
        self.settings = settings = process.settings
        self.wanted = settings.workers
        self.children = []
        self.leaving = []
        self.pause = 0.0
        self.not_before = 0.0
        self.is_stopping = False
        # Whether the workers stop for another reason than a signal.
        self.has_ended_itself = False
        self.is_replacing = False
        self.has_served = False
        # What the last worker has told that did not start.
        self.failure = b""
        self.status = 0
        self.watch = Watch(settings) if settings.reload else None

    def run(self):
        """Runs until all workers have ended after a signal. Returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.start_missing()
        while self.children or self.leaving or not self.is_stopping:
            received = signal.sigtimedwait(SIGNALS, PERIOD)
            if received is not None:
                # What the workers have told before the signal counts.
                self.look_after_workers()
                self.on_signal(received)
            self.reap()
            self.look_after_workers()
            self.process.poll(self.end)
            if not self.is_stopping:
                if self.watch is not None and (changed := self.watch.changed()):
                    log.info("%s has changed: the workers are replaced", changed)
                    self.replace_all()
                self.start_missing()
        return self.status

    def on_signal(self, received):
        number = received.si_signo
        if number in (signal.SIGINT, signal.SIGTERM):
            # Workers that stop for another reason are not hurried by the first signal.
            if self.has_ended_itself:
                self.has_ended_itself = False
            else:
                self.stop()
        elif number == signal.SIGHUP and not self.is_stopping:
            log.info("the workers are replaced, as SIGHUP asks")
            _systemd.notify_reloading()
            self.is_replacing = True
            self.replace_all()
        elif number == signal.SIGUSR2 and self.watch is None:
            self.process.ask_for_upgrade()
        elif number == signal.SIGUSR2 and not self.is_stopping:
            log.info("the workers are replaced, as SIGUSR2 asks")
            self.replace_all()
        elif number in (signal.SIGTTIN, signal.SIGTTOU) and not self.is_stopping:
            # A terminal sends them too, to all processes of a job in the background.
            if received.si_code <= 0:
                more = 1 if number == signal.SIGTTIN else -1
                self.want(max(1, self.wanted + more), signal.Signals(number).name)

    def want(self, workers, signal_name):
        """Has this number of workers serve from now on."""
        self.wanted = workers
        log.info("the number of workers is %s, as %s asks", workers, signal_name)
        while len(self.children) > workers:
            child = self.children.pop()
            child.stop()
            self.leaving.append(child)

    def end(self):
        """Has the workers stop in peace, for another reason than a signal."""
        self.has_ended_itself = True
        self.stop()

    def stop(self):
        """Has the workers stop: at the first call in peace, at the second within a second."""
        how = STOP_AT_ONCE if self.is_stopping else signal.SIGTERM
        self.is_stopping = True
        self.process.on_stopping()
        for child in self.children + self.leaving:
            child.signal(how)

    def replace_all(self):
        """Has new workers take the place of those that serve. An old one stops when a new one is ready."""
        for child in self.children:
            if not child.is_ready:
                child.stop()
        self.leaving += self.children
        self.children = []
        self.pause = self.not_before = 0.0

    def start_missing(self):
        while len(self.children) < self.wanted and time.monotonic() >= self.not_before:
            siblings = self.children + self.leaving
            try:
                child = Child(self.process, self.load_app, siblings, self.has_served)
                self.children.append(child)
            except OSError as error:
                self.wait_longer()
                log.error(
                    "cannot start a worker: %s; the next attempt is in %.1f s",
                    error.strerror,
                    self.pause,
                )

    def wait_longer(self):
        """Has the next worker start after a pause, which is longer each time."""
        self.pause = min(max(2 * self.pause, SHORTEST_PAUSE), LONGEST_PAUSE)
        self.not_before = time.monotonic() + self.pause

    def reap(self):
        """Takes note of the workers that have ended."""
        while True:
            try:
                pid, state = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.process.is_successor(pid):
                self.process.on_end_of_successor(state)
            for children in (self.children, self.leaving):
                for child in [child for child in children if child.pid == pid]:
                    children.remove(child)
                    child.read_messages()
                    child.close()
                    self.on_end(child, state)

    def on_end(self, child, state):
        code = os.waitstatus_to_exitcode(state)
        self.tell_failure(child)
        if self.is_stopping:
            if code > 0:
                self.status = code
            return
        if child.is_ending:
            return
        why = f"status {code}" if code >= 0 else signal.Signals(-code).name
        has_failed = not child.is_ready and code >= 0
        if has_failed and not self.has_served and self.watch is None:
            # No worker has ever started: another attempt would fail as well.
            self.status = code
            self.stop()
            return
        if self.watch is not None and not child.is_ready:
            log.error(
                "the worker %s has not started (%s): the next change is waited for", child.pid, why
            )
            self.not_before = float("inf")
            return
        if not child.is_ready or time.monotonic() - child.started < LONGEST_PAUSE:
            self.wait_longer()
        else:
            self.pause = self.not_before = 0.0
        log.error(
            "the worker %s has ended (%s), and is replaced in %.1f s", child.pid, why, self.pause
        )

    def tell_failure(self, child):
        """Tells why a worker has not started. All workers of the first start fail alike, and this is told once."""
        failure, child.failure = child.failure, b""
        if failure and (failure != self.failure or self.has_served):
            self.failure = failure
            self.process.tell_failure(failure.removeprefix(FAILED).decode(errors="replace"))

    def look_after_workers(self):
        """Hears the workers, and ends those that others have replaced and those that make no progress."""
        for child in self.children + self.leaving:
            child.read_messages()
            # Threads of the application may keep the process from its end.
            self.tell_failure(child)
        if not self.is_stopping:
            self.leaving += [child for child in self.children if child.has_served_enough]
            self.children = [child for child in self.children if not child.has_served_enough]
        ready = sum(child.is_ready for child in self.children)
        self.has_served |= ready > 0
        if not self.is_stopping:
            if ready == self.wanted:
                self.on_all_ready()
            replaced = [child for child in self.leaving if not child.is_ending]
            for child in replaced[: max(0, ready + len(replaced) - self.wanted)]:
                child.stop()
        self.end_those_without_progress()

    def on_all_ready(self):
        """Tells that all workers serve, at first and after they were replaced."""
        if not self.process.is_ready:
            self.process.on_ready()
        elif self.is_replacing:
            _systemd.notify_ready()
        self.is_replacing = False

    def end_those_without_progress(self):
        """Ends the workers whose event loop makes no progress."""
        limit = self.settings.timeout_worker_healthcheck
        if limit <= 0:
            return
        for child in self.children + self.leaving:
            if child.is_ready and time.monotonic() - child.last_heartbeat > limit:
                log.error(
                    "the event loop of the worker %s has made no progress for %g s "
                    "(--timeout-worker-healthcheck; 0 for no limit)",
                    child.pid,
                    limit,
                )
                child.signal(signal.SIGKILL)
                child.last_heartbeat = time.monotonic()
