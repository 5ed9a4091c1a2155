"""Loading the application: its name, its module, its environment, and what kind of application it is."""

import pathlib
import signal

import pytest

from conftest import APPS, SERVER


def test_the_application_is_found_where_the_server_is_started(serve, tmp_path):
    (tmp_path / "here.py").write_text(
        "async def app(scope, receive, send):\n    assert 0, 'called'\n"
    )
    server = serve("here:app", cwd=tmp_path)
    server.expect_error("called")
    assert server.client.get("/").status_code == 500


def test_an_environment_file(serve, tmp_path):
    file = tmp_path / "settings.env"
    file.write_text('export PART="a b" # a note\nFROM_FILE=value of ${PART} # a note\n')
    server = serve("process_id:app", "--env-file", str(file))
    assert server.client.get("/").headers["x-env"] == "value of a b"


def test_an_environment_file_has_variables_of_the_server(serve, tmp_path, journal, key):
    file = tmp_path / "settings.env"
    file.write_text("WEB_CONCURRENCY=2\nFORWARDED_ALLOW_IPS=10.0.0.1\n")
    server = serve("raw_http:app", "--env-file", str(file))
    server.client.get(f"/show_scope?{key}", headers={"X-Forwarded-Proto": "https"})
    assert journal.next(key)["scheme"] == "http"
    children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    assert len(pathlib.Path(children).read_text().split()) >= 2


@pytest.mark.parametrize("octets", [None, b"NAME=\xff"], ids=str)
def test_an_environment_file_that_cannot_be_read_is_told(servers, tmp_path, octets):
    file = tmp_path / "settings.env"
    if octets is not None:
        file.write_bytes(octets)
    server = servers.start("process_id:app", "--env-file", str(file))
    server.expect_error("")
    code = server.wait_until_ended()
    if SERVER == "callgate":
        assert (code, f"error: cannot read {file}: " in server.output) == (3, True)


def module(first_lines, answer):
    """Returns a module with an application that answers with the octets of an expression."""
    return f"""{first_lines}
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200}})
    await send({{"type": "http.response.body", "body": {answer}}})
"""


# A module that needs an event loop that runs, as uvicorn has it with several workers.
IN_LOOP = """\
import asyncio

async def answer():
    await asyncio.sleep(0)
    return b"from a task"

task = asyncio.create_task(answer())
"""


NUMBERS_OF_WORKERS = pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn does so with several workers only")
@pytest.mark.every_loop
@NUMBERS_OF_WORKERS
def test_a_module_may_begin_tasks(serve, tmp_path, flags):
    (tmp_path / "in_loop.py").write_text(module(IN_LOOP, "await task"))
    server = serve("in_loop:app", *flags, cwd=tmp_path)
    assert server.client.get("/").text == "from a task"


# A module that runs an event loop of its own, and what Django permits outside of an event loop only.
OUTSIDE = """\
import asyncio

from django.utils.asyncio import async_unsafe

@async_unsafe
def query(): return b"found"

async def ask():
    await asyncio.sleep(0)
    return b" and asked"

answer = query() + asyncio.run(ask())
"""


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn does so with one process only")
@pytest.mark.every_loop
@NUMBERS_OF_WORKERS
def test_a_module_may_run_an_event_loop(serve, tmp_path, flags):
    (tmp_path / "outside.py").write_text(module(OUTSIDE, "answer"))
    server = serve("outside:app", *flags, cwd=tmp_path)
    assert server.client.get("/").text == "found and asked"


CHANGES = """\
import asyncio
import decimal

decimal.getcontext().prec = 4

asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))
asyncio.get_event_loop().close()
"""


@pytest.mark.every_loop
def test_a_module_may_set_context_variables_and_close_its_loop(serve, tmp_path):
    (tmp_path / "changes.py").write_text(module(CHANGES, "str(decimal.Decimal(1) / 3).encode()"))
    assert serve("changes:app", cwd=tmp_path).client.get("/").text == "0.3333"


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn has another loop by then")
@pytest.mark.every_loop
def test_a_module_gets_the_event_loop_of_the_server(serve, tmp_path):
    first_lines = "import asyncio\n\nevent_loop = asyncio.get_event_loop()\n"
    answer = "str(asyncio.get_running_loop() is event_loop).encode()"
    (tmp_path / "same.py").write_text(module(first_lines, answer))
    assert serve("same:app", cwd=tmp_path).client.get("/").text == "True"


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn starts such a worker for ever")
def test_the_exception_of_the_second_attempt_is_shown(servers, tmp_path):
    package = tmp_path / "fails"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import asyncio\n\nimport fails.part\n\nfails.part\nasyncio.get_running_loop()\n"
        "raise ValueError('in the loop')\n"
    )
    (package / "part.py").touch()
    server = servers.start("fails:app", "--workers", "2", cwd=tmp_path)
    server.expect_error("")
    assert server.wait_until_ended() == 3
    assert "ValueError: in the loop" in server.output
    assert "the second attempt" in server.output


SLOW = """
import asyncio
import os
import time

from journal import tell

{asks}
tell(os.environ["CALLGATE_TEST_KEY"], "importing")
time.sleep(3600)
"""


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn has one attempt only")
@pytest.mark.every_loop
@NUMBERS_OF_WORKERS
@pytest.mark.parametrize("asks", ["", "asyncio.get_running_loop()"], ids=["outside", "in_loop"])
def test_an_import_may_be_interrupted(servers, tmp_path, journal, key, flags, asks):
    (tmp_path / "slow.py").write_text(SLOW.format(asks=asks))
    env = {"PYTHONPATH": str(APPS), "CALLGATE_TEST_KEY": key}
    server = servers.start("slow:app", *flags, cwd=tmp_path, env=env)
    server.expect_error("KeyboardInterrupt")
    assert journal.next(key) == "importing"
    server.signal(signal.SIGINT)
    assert server.wait_until_ended() == (0 if flags else -signal.SIGINT)


FACTORIES = """
from raw_http import app

async def any_arguments(*args, **kwargs): await app(*args, **kwargs)

def create(): return app

def create_with_defaults(config=None, debug=False): return app

def create_with_keywords(config=None, **settings): return any_arguments

class Application:
    async def __call__(self, scope, receive, send): await app(scope, receive, send)
"""


@pytest.fixture
def serve_of_factories(serve, tmp_path):
    (tmp_path / "factories.py").write_text(FACTORIES)

    def serve_one(name):
        return serve(f"factories:{name}", cwd=tmp_path, env={"PYTHONPATH": str(APPS)})

    return serve_one


@pytest.mark.parametrize(
    "name", ["create", "create_with_defaults", "create_with_keywords", "Application"]
)
def test_a_factory_is_called_without_its_flag(serve_of_factories, name):
    server = serve_of_factories(name)
    server.wait_for_output("--factory")
    assert server.client.get("/hello").text == "hello"


@pytest.mark.uvicorn_fails("calls it as a factory")
def test_an_application_that_takes_any_arguments_is_no_factory(serve_of_factories):
    server = serve_of_factories("any_arguments")
    assert server.client.get("/hello").text == "hello"
    assert "--factory" not in server.output


@pytest.mark.parametrize("flags", [[], ["--interface", "asgi2"]], ids=str)
def test_an_application_of_asgi_2_is_served(serve, tmp_path, flags):
    (tmp_path / "of_asgi_2.py").write_text(
        "class App:\n"
        "    def __init__(self, scope):\n        self.scope = scope\n\n"
        "    async def __call__(self, receive, send):\n"
        "        assert self.scope['type'] == 'http'\n"
        "        assert self.scope['asgi']['version'] == '2.0'\n"
        "        await send({'type': 'http.response.start', 'status': 200})\n"
        "        await send({'type': 'http.response.body', 'body': b'two'})\n"
    )
    assert serve("of_asgi_2:App", *flags, cwd=tmp_path).client.get("/").text == "two"
