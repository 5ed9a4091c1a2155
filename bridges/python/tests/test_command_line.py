"""The command line: what it says about mistakes, workers, reloads, logs."""

import contextlib
import gc
import json
import os
import pathlib
import signal
import sys
import time
import types

import httpx
import pytest

from conftest import APPS, PATIENCE, SERVER, TcpServer, free_port
from wire import Connection, get

APP = """
from raw_http import body, start, stops_in_lifespan

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await send(start(headers=[(b"connection", b"close")]))
    await send(body(b"{text}"))
"""


# Mistakes.


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("not_there:app", ["not_there"]),
        ("raw_http:not_there", ["raw_http", "not_there"]),
        ("raw_http:holder.not_there", ["raw_http", "holder.not_there"]),
        ("raw_http", ["raw_http", ":"]),
    ],
    ids=["module", "attribute", "attribute_of_attribute", "no_attribute"],
)
def test_a_name_that_is_not_there_is_told_without_a_traceback(servers, target, words):
    server = servers.start(target)
    server.expect_error("")
    assert server.wait_until_ended() != 0
    assert all(word in server.output for word in words), server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("broken_module:app", "ValueError: raised while the module is imported"),
        ("broken_imports:app", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
    ],
)
def test_an_exception_of_the_module_is_shown(servers, target, error):
    server = servers.start(target)
    server.expect_error("")
    assert server.wait_until_ended() != 0
    assert error in server.output


@pytest.mark.skipif(SERVER != "callgate", reason="these are the messages of callgate")
@pytest.mark.parametrize(
    ("package", "flags"),
    [("uvloop", []), ("dotenv", ["--env-file", "no.env"])],
)
def test_a_package_that_is_not_installed_is_told(servers, tmp_path, package, flags):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules['{package}'] = None\n")
    servers.loop = "uvloop"
    server = servers.start("raw_http:app", *flags, env={"PYTHONPATH": str(tmp_path)})
    server.expect_error("")
    assert server.wait_until_ended() == 3
    assert "pip install" in server.output
    assert "Traceback" not in server.output


def test_the_loop_is_that_of_asyncio_without_uvloop(servers, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['uvloop'] = None\n")
    servers.loop = "auto"
    server = servers.serve("raw_asyncio:app", env={"PYTHONPATH": str(tmp_path)})
    assert server.client.get("/running_loop").text.startswith("asyncio.")


def test_the_command_has_the_name_of_the_package(servers):
    script = str(pathlib.Path(sys.executable).with_name(SERVER))
    command = [script, "raw_http:app", "--app-dir", str(APPS)]
    server = TcpServer(command, servers.environment(None), None, free_port())
    servers.running.append(server)
    server.wait_until_it_accepts()
    assert server.client.get("/hello").text == "hello"


def test_an_address_in_use_is_told(serve, servers):
    _, port = serve("raw_http:app").address
    server = servers.start("raw_http:app", port=port)
    server.expect_error("")
    assert server.wait_until_ended() != 0
    assert str(port) in server.output
    assert "in use" in server.output.lower()
    assert "Traceback" not in server.output


def test_an_unknown_flag_is_told(servers):
    server = servers.start("raw_http:app", "--no-such-flag")
    assert server.wait_until_ended() != 0
    assert "--no-such-flag" in server.output


@pytest.mark.skipif(SERVER != "callgate", reason="the flags are those of callgate")
@pytest.mark.parametrize(
    ("flags", "remedy"),
    [(["--threads", "2"], "--workers"), (["--log-format", "json"], "--log-config")],
)
def test_a_flag_that_is_not_for_python_is_told(servers, flags, remedy):
    server = servers.start("raw_http:app", *flags)
    assert server.wait_until_ended() == 2
    assert remedy in server.output


@pytest.mark.skipif(SERVER != "callgate", reason="the flags are those of callgate")
def test_the_number_of_the_process_and_the_log_are_in_files(serve, tmp_path):
    pid, log = tmp_path / "pid", tmp_path / "log"
    server = serve("raw_http:app", "--pid", str(pid), "--log-file", str(log), "--access-log")
    server.client.get("/hello")
    assert pid.read_text() == f"{server.process.pid}\n"
    server.stop()
    assert not pid.exists()
    assert "Callgate has stopped" in log.read_text()
    assert "/hello" in log.read_text()
    assert server.output == ""


# Settings.


@pytest.mark.skipif(SERVER != "callgate", reason="the package is that of callgate")
def test_a_debugger_may_hold_a_worker_up_that_is_reloaded():
    from callgate._callgate import Settings

    def limit(*flags):
        return Settings(["main:app", *flags]).timeout_worker_healthcheck

    assert (limit(), limit("--reload")) == (30.0, 0.0)
    assert limit("--reload", "--timeout-worker-healthcheck", "5") == 5.0


@pytest.mark.skipif(SERVER != "callgate", reason="the package is that of callgate")
def test_flags_without_a_value_have_opposites():
    from callgate._callgate import Settings

    def is_factory(*flags):
        return Settings(["main:app", *flags]).factory

    assert is_factory("--no-factory", "--factory")
    assert is_factory("--factory=true")
    assert not is_factory("--factory", "--no-factory")
    assert not is_factory("--factory=false")


@pytest.mark.skipif(SERVER != "callgate", reason="one variable is that of callgate")
@pytest.mark.parametrize(
    ("of_platforms", "own", "scheme"),
    [
        ("192.0.2.1", "", "http"),
        ("", "", "https"),
        ("192.0.2.1", "127.0.0.1", "https"),
    ],
)
def test_the_variable_of_platforms_names_the_proxies(
    serve, journal, key, of_platforms, own, scheme
):
    env = {"FORWARDED_ALLOW_IPS": of_platforms, "CALLGATE_FORWARDED_ALLOW_IPS": own}
    server = serve("raw_http:app", env=env)
    server.client.get(f"/show_scope?{key}", headers={"X-Forwarded-Proto": "https"})
    assert journal.next(key)["scheme"] == scheme


# A process without workers, and signals.


@pytest.mark.skipif(SERVER != "callgate", reason="the signal ends uvicorn")
def test_sighup_does_not_end_a_server_without_workers(serve):
    server = serve("process_id:app")
    before = ask(server)
    server.signal(signal.SIGHUP)
    server.wait_for_output("SIGHUP loads certificates and opens the access log anew")
    assert ask(server) == before


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn writes no file")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
def test_sighup_opens_the_access_log_anew(serve, tmp_path, flags):
    log = tmp_path / "access.log"
    server = serve("raw_http:app", "--access-log", "--access-log-file", str(log), *flags)

    def ask_until_logged(target):
        deadline = time.monotonic() + PATIENCE
        while target not in (log.read_text() if log.exists() else ""):
            assert time.monotonic() < deadline, server.output
            assert httpx.get(server.url + target, trust_env=False).text == "hello"

    ask_until_logged("/hello?before")
    log.rename(tmp_path / "access.log.1")
    server.signal(signal.SIGHUP)
    ask_until_logged("/hello?after")


def test_an_application_keeps_its_own_handlers_of_signals(serve, journal, key):
    server = serve("own_signals:app", env={"CALLGATE_TEST_KEY": key})
    assert ask(server)
    for number in (signal.SIGHUP, signal.SIGUSR2):
        server.signal(number)
        assert journal.next(key) == number


# Workers.


def ask(server):
    """Returns the worker that answers; None when the connection has met one that was ending."""
    try:
        return int(httpx.get(server.url, trust_env=False).text)
    except httpx.TransportError:
        return None


def wait_for_workers(server, wanted):
    """Asks until the set of workers that have answered is as wanted."""
    deadline = time.monotonic() + 3 * PATIENCE
    seen = set()
    while not wanted(seen):
        assert time.monotonic() < deadline, (seen, server.output)
        seen.add(ask(server))
        seen.discard(None)
    return seen


@pytest.fixture
def workers(serve):
    return serve("process_id:app", "--workers", "2")


@pytest.mark.every_loop
def test_workers_share_the_port(workers):
    seen = wait_for_workers(workers, lambda seen: len(seen) == 2)
    assert workers.process.pid not in seen
    for worker in seen:
        workers.wait_for_output(f"[{worker}]")


def test_the_variable_of_platforms_is_the_number_of_workers(serve):
    server = serve("process_id:app", env={"WEB_CONCURRENCY": "2"})
    wait_for_workers(server, lambda seen: len(seen) == 2)


@pytest.mark.every_loop
def test_a_worker_that_dies_is_replaced(workers):
    first = wait_for_workers(workers, lambda seen: len(seen) == 2)
    os.kill(min(first), signal.SIGKILL)
    workers.expect_error("")
    second = wait_for_workers(workers, lambda seen: len(seen - {min(first)}) == 2)
    assert max(first) in second


@pytest.mark.every_loop
def test_sighup_replaces_the_workers(workers):
    first = wait_for_workers(workers, lambda seen: len(seen) == 2)
    workers.signal(signal.SIGHUP)
    wait_for_workers(workers, lambda seen: len(seen - first) == 2)


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn gives the new version up")
def test_workers_go_on_while_a_new_version_does_not_start(serve, tmp_path):
    module = tmp_path / "versions.py"
    module.write_text(APP.format(text="one"))
    server = serve("versions:app", "--workers", "2", cwd=tmp_path, env={"PYTHONPATH": str(APPS)})
    assert server.client.get("/").text == "one"
    server.expect_error("no version")
    server.expect_error("has ended (status 3), and is replaced")
    module.write_text("raise ValueError('no version')\n")
    server.signal(signal.SIGHUP)
    server.wait_for_output("ValueError: no version")
    server.wait_for_output("has ended (status 3), and is replaced in")
    assert [server.client.get("/").text for _ in range(20)] == ["one"] * 20
    module.write_text(APP.format(text="another"))
    deadline = time.monotonic() + 2 * PATIENCE
    while server.client.get("/").text != "another":
        assert time.monotonic() < deadline, server.output


LOGGED = (
    APP
    + """
import logging

class Handler(logging.StreamHandler):
    def format(self, record):
        return f"by {text}: {{record.getMessage()}}"
"""
)


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn needs longer")
def test_sighup_loads_a_module_anew_that_the_log_has_loaded(serve, tmp_path):
    module = tmp_path / "logged.py"
    module.write_text(LOGGED.format(text="one"))
    handlers = {"of_application": {"class": "logged.Handler"}}
    root = {"level": "INFO", "handlers": list(handlers)}
    config = tmp_path / "log.json"
    config.write_text(json.dumps({"version": 1, "handlers": handlers, "root": root}))
    flags = ["--workers", "2", "--log-config", str(config), "--access-log"]
    server = serve("logged:app", *flags, cwd=tmp_path, env={"PYTHONPATH": str(APPS)})
    assert server.client.get("/").text == "one"
    module.write_text(LOGGED.format(text="another"))
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    answer = "one"
    while answer == "one" or "by another: 127.0.0.1" not in server.output:
        assert time.monotonic() < deadline, server.output
        answer = httpx.get(server.url, trust_env=False).text
    assert answer == "another"


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn gives the new version up")
def test_workers_that_have_not_started_are_stopped_when_they_are_replaced(
    serve, tmp_path, journal, key
):
    module = tmp_path / "versions.py"
    module.write_text(APP.format(text="one"))
    env = {"PYTHONPATH": str(APPS), "CALLGATE_TEST_KEY": key}
    server = serve("versions:app", "--workers", "2", cwd=tmp_path, env=env)
    assert server.client.get("/").text == "one"
    module.write_text("from raw_lifespan import never_starts as app\n")
    server.signal(signal.SIGHUP)
    assert [journal.next(key) for _ in range(2)] == ["starting"] * 2
    server.signal(signal.SIGHUP)
    told = sorted(journal.next(key) for _ in range(4))
    assert told == ["cleaned up"] * 2 + ["starting"] * 2
    assert server.client.get("/").text == "one"


@pytest.mark.skipif(SERVER != "callgate", reason="this is a part of callgate")
def test_a_terminal_changes_no_number_of_workers():
    from callgate._callgate import Settings
    from callgate._supervisor import Supervisor

    settings = Settings(["main:app", "--workers", "2"])
    supervisor = Supervisor(types.SimpleNamespace(settings=settings), load_app=None)
    numbers = []
    # That of the kernel, and that of `kill`.
    for code in (128, 0):
        received = types.SimpleNamespace(si_signo=signal.SIGTTIN, si_code=code)
        supervisor.on_signal(received)
        numbers.append(supervisor.wanted)
    assert numbers == [2, 3]


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn has other processes beside its workers")
@pytest.mark.every_loop
def test_signals_add_a_worker_and_stop_one(workers):
    children = pathlib.Path(f"/proc/{workers.process.pid}/task/{workers.process.pid}/children")
    first = wait_for_workers(workers, lambda seen: len(seen) == 2)
    workers.signal(signal.SIGTTIN)
    more = wait_for_workers(workers, lambda seen: len(seen) == 3)
    assert first < more
    deadline = time.monotonic() + PATIENCE
    # One worker stays, however often the signal comes.
    for count in range(4):
        workers.signal(signal.SIGTTOU)
        while workers.output.count("SIGTTOU") <= count:
            assert time.monotonic() < deadline, workers.output
            time.sleep(0.01)
    while len(children.read_text().split()) != 1:
        assert time.monotonic() < deadline, workers.output
        time.sleep(0.01)
    assert ask(workers) in more


@pytest.mark.every_loop
def test_workers_are_replaced_after_some_requests(serve):
    server = serve("process_id:app", "--workers", "2", "--limit-max-requests", "10")
    wait_for_workers(server, lambda seen: len(seen) >= 4)


@pytest.mark.skipif(SERVER != "callgate", reason="the flag is that of callgate")
def test_workers_are_replaced_after_some_time(serve):
    server = serve("process_id:app", "--workers", "2", "--limit-max-age", "0.5")
    wait_for_workers(server, lambda seen: len(seen) >= 4)


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn counts connections")
def test_a_request_beyond_the_limit_is_refused(serve, journal, key):
    server = serve("raw_http:app", "--limit-concurrency", "1")
    with Connection(server) as connection:
        connection.send(get(f"/show_events?{key}", "Content-Length: 10", method="POST") + b"01234")
        assert journal.next(key)["body"] == b"01234"
        refused = server.client.get("/hello")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        connection.send(b"56789")
        assert connection.read_response().status == 200
    # An exchange counts until the call has ended, which may be after its response.
    deadline = time.monotonic() + PATIENCE
    while server.client.get("/hello").status_code != 200:
        assert time.monotonic() < deadline


@pytest.mark.every_loop
def test_a_signal_to_all_processes_stops_the_workers_in_peace(serve, journal, key):
    env = {"CALLGATE_TEST_KEY": key}
    server = serve("process_id:slow", "--workers", "2", env=env)
    with Connection(server) as connection:
        connection.send(get("/"))
        assert journal.next(key) == "called"
        os.killpg(server.process.pid, signal.SIGTERM)
        assert connection.read_response().body == b"slow"
    assert server.wait_until_ended() == 0


@pytest.mark.every_loop
def test_the_file_of_a_socket_is_that_of_the_supervisor(servers, tmp_path):
    path = tmp_path / "socket"
    server = servers.start("process_id:app", "--workers", "2", "--uds", str(path))

    def ask_socket():
        try:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                return int(client.get("http://localhost/").text)
        except httpx.TransportError:
            return None

    def workers(wanted):
        deadline = time.monotonic() + 3 * PATIENCE
        seen = set()
        while not wanted(seen):
            assert time.monotonic() < deadline, (seen, server.output)
            seen.add(ask_socket())
            seen.discard(None)
        return seen

    first = workers(lambda seen: len(seen) == 2)
    server.signal(signal.SIGHUP)
    workers(lambda seen: len(seen - first) == 2)
    assert path.exists()
    server.signal()
    assert server.wait_until_ended() == 0
    assert not path.exists()


@pytest.mark.every_loop
@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn asks a thread of the worker")
def test_a_worker_whose_loop_makes_no_progress_is_replaced(serve):
    server = serve("process_id:blocks", "--workers", "2", "--timeout-worker-healthcheck", "2")
    first = wait_for_workers(server, lambda seen: len(seen) == 2)
    server.expect_error("")
    with Connection(server) as connection:
        connection.send(get("/block"))
        assert connection.read_to_end() == b""
    server.wait_for_output("has made no progress for 2 s")
    wait_for_workers(server, lambda seen: len(seen - first) == 1)


@pytest.mark.skipif(SERVER != "callgate", reason="the flag is that of callgate")
def test_the_collector_of_cycles_is_tuned(serve):
    def collector(*flags):
        frozen, threshold = serve("process_id:collector", *flags).client.get("/").text.split()
        return int(frozen), int(threshold)

    # Python 3.12 itself leaves some objects out.
    frozen, threshold = collector("--gc", "python")
    assert threshold == gc.get_threshold()[0]
    tuned_frozen, tuned_threshold = collector()
    assert tuned_threshold == 10_000
    assert tuned_frozen > frozen + 10_000


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn starts workers again at once")
def test_a_worker_that_dies_again_and_again_is_replaced_after_longer_pauses(workers):
    workers.expect_error("")
    first = wait_for_workers(workers, lambda seen: len(seen) == 2)
    killed = set()
    for pause in ("0.5", "1.0", "2.0"):
        seen = wait_for_workers(workers, lambda seen: len(seen - killed) == 2)
        worker = min(seen - killed)
        killed.add(worker)
        os.kill(worker, signal.SIGKILL)
        line = f"the worker {worker} has ended (SIGKILL), and is replaced in {pause} s"
        workers.wait_for_output(line)
    assert first & killed


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn has other pipes")
def test_workers_end_when_their_supervisor_is_killed(workers):
    pids = wait_for_workers(workers, lambda seen: len(seen) == 2)

    def pipes(pid):
        """The pipes of a process but those of its standard streams."""
        pipes = set()
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            # A connection may end between the listing and the reading.
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(link)
                if target.startswith("pipe:") and int(link.name) > 2:
                    pipes.add(target)
        assert pipes, "a worker has a pipe to its supervisor"
        return pipes

    # A worker that had the pipe of another would keep that one alive.
    assert set.isdisjoint(*map(pipes, pids))
    workers.expect_error("")
    workers.signal(signal.SIGKILL)
    workers.process.wait()
    deadline = time.monotonic() + PATIENCE
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Reload.


class Reloaded:
    """A server with `--reload`, whose module is in a folder of its own."""

    def __init__(self, serve, folder, module, *flags):
        self.folder, self.changes = folder, 0
        (folder / "changing.py").write_text(module)
        env = {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__)) + "/apps"}
        flags = ["--reload", "--reload-dir", str(folder), *flags]
        self.server = serve("changing:app", *flags, cwd=folder, env=env)

    def change(self, name, text):
        """Writes a file, with a later time than before, whatever the clock of the file system."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        self.changes += 1
        changed = file.with_name(f".{file.name}")
        changed.write_text(text)
        os.utime(changed, (time.time() + 10 * self.changes, time.time() + 10 * self.changes))
        changed.replace(file)

    def text(self):
        """Returns what the server answers; None while it starts."""
        try:
            return httpx.get(self.server.url, trust_env=False).text
        except httpx.TransportError:
            return None

    def wait_until_served(self, text, change=None):
        """Waits until the server answers with a text. It makes a change again and again: one before the server has begun to
        watch is seen by no one. A change ends a worker that has not started, so the pauses grow."""
        begun, pause = time.monotonic(), 0
        while (answer := self.text()) != text:
            passed = time.monotonic() - begun
            assert passed < 3 * PATIENCE, (answer, self.server.output)
            if change and answer is not None and passed > pause:
                pause = 2 * passed + 1
                self.change(*change)


@pytest.mark.every_loop
def test_a_change_of_the_application_is_served(serve, tmp_path):
    reloaded = Reloaded(serve, tmp_path, APP.format(text="one"))
    reloaded.wait_until_served("two", change=("changing.py", APP.format(text="two")))


@pytest.mark.uvicorn_fails("does not start")
def test_a_folder_to_watch_that_is_not_there_is_told(serve, tmp_path):
    server = serve("raw_http:app", "--reload", "--reload-dir", str(tmp_path / "mistyped"))
    server.wait_for_output("mistyped")
    assert server.client.get("/hello").text == "hello"


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn needs another package for the patterns")
def test_the_files_that_are_watched_are_a_setting(serve, tmp_path):
    # Only a new process reads the file, which is not watched.
    module = "TEXT = open('text.txt', 'rb').read()" + APP.replace('b"{text}"', "TEXT")
    text = tmp_path / "app" / "text.txt"
    text.parent.mkdir()
    text.write_text("one")
    excluded = ["--reload-exclude", "draft*", "--reload-exclude", "generated/page.html"]
    shared = tmp_path / "shared"
    shared.mkdir()
    included = ["*.html", ".env", str(shared)]
    flags = [flag for pattern in included for flag in ("--reload-include", pattern)]
    reloaded = Reloaded(serve, tmp_path / "app", module, *flags, *excluded)
    reloaded.wait_until_served("one")
    text.write_text("two")
    reloaded.change("page.html", "a page")
    reloaded.wait_until_served("two")
    text.write_text("three")
    reloaded.change("changing.py", module)
    reloaded.wait_until_served("three")
    text.write_text("four")
    for name in (
        "page.css",
        ".page.html",
        "draft.html",
        "drafts/page.html",
        "deep/generated/page.html",
    ):
        reloaded.change(name, "a draft")
    # Only its silence tells that the server has not seen them: it looks three times a second.
    time.sleep(1)
    assert reloaded.text() == "three"
    for name, served in (
        ("deep/generated/other.html", "four"),
        (".env", "five"),
        ("../shared/a.py", "six"),
    ):
        text.write_text(served)
        reloaded.change(name, "NAME = 1")
        reloaded.wait_until_served(served)


# Logs.


def test_the_access_log_is_a_setting(serve):
    with_log = serve("raw_http:app", "--access-log")
    with_log.client.get("/hello?x=1")
    with_log.wait_for_output("/hello?x=1")
    without = serve("raw_http:app", "--no-access-log")
    without.client.get("/hello?x=1")
    without.stop()
    assert "/hello" not in without.output


def test_the_log_is_that_of_python(serve, tmp_path):
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"format": "OWN %(name)s %(levelname)s %(message)s"}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "loggers": {
            f"{SERVER}.access": {"handlers": ["own"], "level": "INFO", "propagate": False},
            f"{SERVER}.error": {"handlers": ["own"], "level": "INFO", "propagate": False},
        },
    }
    file = tmp_path / "log.json"
    file.write_text(json.dumps(config))
    server = serve("raw_http:app", "--access-log", "--log-config", str(file))
    server.expect_error("raised before the start")
    with Connection(server) as connection:
        assert connection.ask(get("/raises")).status == 500
    server.wait_for_output(f"OWN {SERVER}.access INFO ")
    server.wait_for_output(f"OWN {SERVER}.error ERROR ")
    server.wait_for_output("RuntimeError: raised before the start")


@pytest.mark.parametrize("end", ["yaml", "yml"])
def test_the_log_may_be_configured_by_yaml(serve, tmp_path, end):
    file = tmp_path / f"log.{end}"
    file.write_text(
        "version: 1\n"
        "formatters: {own: {format: 'OWN %(message)s'}}\n"
        "handlers: {own: {class: logging.StreamHandler, formatter: own}}\n"
        f"loggers: {{{SERVER}.error: {{handlers: [own], level: INFO, propagate: false}}}}\n"
        "disable_existing_loggers: false\n"
    )
    serve("raw_http:app", "--log-config", str(file)).wait_for_output("OWN ")


@pytest.mark.uvicorn_fails("has a traceback of its own")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.json", '{"version": 1, "handlers": {"h": {"class": "absent.Handler"}}}', "'absent'"),
        ("log.json", "no JSON", "Expecting value"),
        ("log.yaml", "{", "expected the node content"),
        ("log.ini", "no section", "no section headers"),
        ("log.json", None, "No such file"),
    ],
)
def test_a_log_that_cannot_be_configured_is_told_with_its_reason(
    servers, tmp_path, name, content, words
):
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    server = servers.start("raw_http:app", "--log-config", str(file))
    assert server.wait_until_ended() == 3
    assert server.output.startswith(f"error: cannot set up `logging` by {file}: ")
    assert words in server.output
    assert "(--log-config)" in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize("flags", [[], ["--use-colors"], ["--no-use-colors"]])
def test_the_levels_of_the_log_have_colours_where_they_are_asked_for(serve, flags):
    server = serve("raw_http:app", *flags)
    server.wait_for_output("running on")
    level = "\033[32mINFO\033[0m" if flags == ["--use-colors"] else "INFO"
    assert level in server.output
    assert ("\033" in server.output) == (level != "INFO")


def test_the_traceback_shows_the_application(serve):
    server = serve("raw_http:app")
    server.expect_error("raised before the start")
    with Connection(server) as connection:
        connection.ask(get("/raises"))
    server.wait_for_output("RuntimeError: raised before the start")
    assert "raw_http.py" in server.output
    assert "in raises" in server.output


@pytest.mark.uvicorn_fails("shows its own frames as well")
def test_the_traceback_does_not_show_the_server(serve):
    server = serve("raw_http:app")
    server.expect_error("raised before the start")
    with Connection(server) as connection:
        connection.ask(get("/raises"))
    server.wait_for_output("RuntimeError: raised before the start")
    assert f"site-packages/{SERVER}" not in server.output


def test_the_log_level_hides_what_is_less_severe(serve):
    server = serve("raw_http:app", "--log-level", "critical")
    server.client.get("/hello")
    server.stop()
    assert server.output == ""
