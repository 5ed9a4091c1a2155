"""Serving as a process, or as several that share their sockets."""

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from functools import partial

from callgate import _systemd
from callgate._application import Unloadable, load, look_in_app_dir, read_env_file
from callgate._callgate import ServeError
from callgate._loop import loop_factory
from callgate._server import configure_logging, handlers, serve
from callgate._upgrade import STARTUP_FAILED, Process
from callgate._watch import Watch

# The longest and the shortest time in seconds before a worker that has ended early is replaced.
LONGEST_PAUSE = 30.0
SHORTEST_PAUSE = 0.5

# How often in seconds the processes look after each other.
PERIOD = 0.25

# How often in seconds a worker tells that its event loop makes progress.
BEAT = 1.0

# What a worker tells its supervisor: that its event loop makes progress, and that it is to be replaced.
PROGRESS = b"."
SERVED_ENOUGH = b"e"

# The number of new objects after which the collector of cycles looks at them, with `--gc tuned`.
YOUNG_OBJECTS = 10_000

log = logging.getLogger("callgate.error")


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
    except (Unloadable, OSError, ValueError) as error:
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


def serve_here(process, load_app):
    """Serves in this process until SIGINT or SIGTERM, or until another takes its place. Returns the exit status."""

    def signals_of(worker):
        def stop():
            process.on_stopping()
            worker.shutdown()

        def look():
            process.look(stop)
            asyncio.get_running_loop().call_later(PERIOD, look)

        def reload():
            log.info(
                "SIGHUP loads certificates anew in a process without workers, and nothing else"
            )
            worker.reload()

        look()
        ours = {signal.SIGHUP: reload, signal.SIGUSR2: process.upgrade}
        # The application may have a use of its own for these, and `nohup` ignores the first.
        ours = {number: ours[number] for number in ours if is_unused(number)}
        # The first shuts the worker down in peace, the second at once.
        return ours | {signal.SIGINT: stop, signal.SIGTERM: stop}

    status = serve_until_signal(process, load_app, process.bind, signals_of, process.on_ready)
    process.on_stopping()
    return status


def is_unused(number):
    """Returns whether nothing but the system handles a signal."""
    return signal.getsignal(number) is signal.SIG_DFL


def serve_until_signal(
    process, load_app, bind, signals_of, on_ready, on_limit=None, replaces_another=False
):
    """Serves in this process until the worker is shut down. Returns the exit status."""
    settings = process.settings

    async def main(app, worker):
        def ready():
            if settings.gc == "tuned":
                tune_collector()
            on_ready()

        with handlers(signals_of(worker)):
            is_successor = replaces_another or process.has_predecessor
            await serve(worker, app, ready, on_limit, is_successor)

    try:
        app = load_app()
        worker = bind()
        with asyncio.Runner(loop_factory=loop_factory(settings)) as runner:
            runner.run(main(app, worker))
    except Unloadable as error:
        return process.fail(error)
    except ServeError as error:
        return process.fail(*error.args)
    if worker.has_threads:
        log.warning("a thread of the application goes on, and ends with the process")
        atexit.register(end_process, 0)
    return 0


def end_process(status):
    """Ends the process at once, as the last thing of its interpreter, which cannot end while threads are in an extension."""
    atexit.unregister(end_process)
    end_interpreter()
    os._exit(status)


def tune_collector():
    """Has the collector of cycles leave out what the start-up has made, and run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


class Child:
    """A worker as a process, as its supervisor sees it."""

    def __init__(self, process, replaces_another):
        self.started = time.monotonic()
        self.heard = None
        self.has_served_enough = False
        self.is_ending = False
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            os._exit(self.work(process, writer, replaces_another))
        os.close(writer)
        os.set_blocking(self.reader, False)

    def work(self, process, writer, replaces_another):
        """Serves, in the child. Returns the exit status."""
        status = 1
        try:
            # A terminal and a manager of services may signal all processes. The supervisor decides what it means.
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            status = serve_until_signal(
                process,
                partial(load, process.settings),
                lambda: process.worker,
                signals_of_child,
                partial(beat, writer),
                partial(tell, writer, SERVED_ENOUGH),
                replaces_another,
            )
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else process.fail(exit.code or "", 1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(Exception):
                end_interpreter()
        return status

    def listen(self):
        """Reads what the worker has told. It is ready once it has told something."""
        with contextlib.suppress(BlockingIOError):
            if told := os.read(self.reader, 4096):
                self.heard = time.monotonic()
                self.has_served_enough |= SERVED_ENOUGH in told

    @property
    def is_ready(self):
        return self.heard is not None

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


def end_interpreter():
    """Does what an interpreter does at its end, which `os._exit` leaves out."""
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()


def beat(writer):
    """Tells the supervisor, again and again, that the event loop makes progress."""
    if tell(writer, PROGRESS):
        asyncio.get_running_loop().call_later(BEAT, beat, writer)


def tell(writer, what):
    """Tells the supervisor something. Returns whether it is there."""
    try:
        os.write(writer, what)
    except BrokenPipeError:
        # Nobody would stop this process.
        os.kill(os.getpid(), signal.SIGTERM)
        return False
    return True


# The signal by which the supervisor has a worker end at once.
STOP_AT_ONCE = signal.SIGQUIT

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD}


class Supervisor:
    """Keeps workers running that share their sockets.

    A worker that dies is replaced, after a pause that grows while it dies early. A worker that has served enough, and at SIGHUP
    and at a change with `--reload` each worker, is replaced by one that has started before the old one stops. SIGINT and SIGTERM are passed on. SIGUSR2
    replaces the supervisor with its workers.
    """

    def __init__(self, process):
        self.process = process
        self.settings = settings = process.settings
        self.children = []
        self.leaving = []
        self.pause = 0.0
        self.not_before = 0.0
        self.is_stopping = False
        self.is_replacing = False
        self.has_served = False
        self.status = 0
        self.watch = Watch(settings) if settings.reload else None

    def run(self):
        """Runs until all workers have ended after a signal. Returns the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.start_missing()
        while self.children or self.leaving or not self.is_stopping:
            received = signal.sigtimedwait(SIGNALS, PERIOD)
            if received is not None:
                self.on_signal(received.si_signo)
            self.reap()
            self.look_after()
            self.process.look(self.stop)
            if not self.is_stopping:
                if self.watch is not None and (changed := self.watch.changed()):
                    log.info("%s has changed: the workers are replaced", changed)
                    self.replace_all()
                self.start_missing()
        return self.status

    def on_signal(self, number):
        if number in (signal.SIGINT, signal.SIGTERM):
            self.stop()
        elif number == signal.SIGHUP and not self.is_stopping:
            log.info("the workers are replaced, as SIGHUP asks")
            _systemd.notify_reloading()
            self.is_replacing = True
            self.replace_all()
        elif number == signal.SIGUSR2 and self.watch is None:
            self.process.upgrade()
        elif number == signal.SIGUSR2 and not self.is_stopping:
            log.info("the workers are replaced, as SIGUSR2 asks")
            self.replace_all()

    def stop(self):
        """Has the workers stop: at the first call in peace, at the second at once."""
        how = STOP_AT_ONCE if self.is_stopping else signal.SIGTERM
        self.is_stopping = True
        self.process.on_stopping()
        for child in self.children + self.leaving:
            child.signal(how)

    def replace_all(self):
        """Has new workers take the place of those that serve. An old one stops when a new one is ready."""
        for child in self.children:
            if not child.is_ready:
                child.is_ending = True
                child.signal(signal.SIGTERM)
        self.leaving += self.children
        self.children = []
        self.pause = self.not_before = 0.0

    def start_missing(self):
        while len(self.children) < self.settings.workers and time.monotonic() >= self.not_before:
            self.children.append(Child(self.process, self.has_served))

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
                    child.listen()
                    child.close()
                    self.on_end(child, state)

    def on_end(self, child, state):
        code = os.waitstatus_to_exitcode(state)
        if self.is_stopping:
            if code > 0:
                self.status = code
            return
        if child.is_ending:
            return
        why = f"status {code}" if code >= 0 else signal.Signals(-code).name
        if (
            not child.is_ready
            and code in (2, STARTUP_FAILED)
            and not self.has_served
            and self.watch is None
        ):
            # No worker has ever started: another attempt would fail as well.
            self.status = code
            self.stop()
            return
        if self.watch is not None and not child.is_ready:
            log.error(
                "the worker %s has not started (%s): the next change is waited for", child.pid, why
            )
            self.children += [old for old in self.leaving if not old.is_ending][
                : self.settings.workers
            ]
            self.leaving = [old for old in self.leaving if old not in self.children]
            self.not_before = float("inf")
            return
        early = not child.is_ready or time.monotonic() - child.started < LONGEST_PAUSE
        self.pause = min(max(2 * self.pause, SHORTEST_PAUSE), LONGEST_PAUSE) if early else 0.0
        self.not_before = time.monotonic() + self.pause
        log.error(
            "the worker %s has ended (%s), and is replaced in %.1f s", child.pid, why, self.pause
        )

    def look_after(self):
        """Hears the workers, and ends those that others have replaced and those that make no progress."""
        for child in self.children + self.leaving:
            child.listen()
        if not self.is_stopping:
            self.leaving += [child for child in self.children if child.has_served_enough]
            self.children = [child for child in self.children if not child.has_served_enough]
        ready = sum(child.is_ready for child in self.children)
        self.has_served |= ready > 0
        if ready == self.settings.workers and not self.is_stopping:
            self.on_all_ready()
            for child in self.leaving:
                if not child.is_ending:
                    child.is_ending = True
                    child.signal(signal.SIGTERM)
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
            if child.is_ready and time.monotonic() - child.heard > limit:
                log.error(
                    "the event loop of the worker %s has made no progress for %g s",
                    child.pid,
                    limit,
                )
                child.signal(signal.SIGKILL)
                child.heard = time.monotonic()
