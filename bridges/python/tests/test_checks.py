"""What the command line puts around an application: the lint, the recorder, the inspector."""

import json
import re
import time

import httpx
import pytest

from conftest import PATIENCE, SERVER
from wire import Connection, get

pytestmark = pytest.mark.skipif(SERVER != "callgate", reason="the flags are those of callgate")


def test_the_lint_names_the_rule_that_an_application_breaks(serve):
    server = serve("raw_http:app", "--lint")
    server.expect_error("")
    with Connection(server) as connection:
        connection.ask(get("/too_little"))
    server.wait_for_output('rule="HTTP-21"')
    server.wait_for_output("by=application")


def test_exchanges_are_recorded(serve, tmp_path):
    file = tmp_path / "exchanges.jsonl"
    server = serve("raw_http:app", "--record", str(file))
    assert server.client.get("/hello").text == "hello"
    server.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert any("http.response.start" in json.dumps(line) for line in lines)
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_inspector_shows_exchanges(serve):
    server = serve("raw_http:app", "--inspect=127.0.0.1:0")
    server.wait_for_output("The inspector is at ")
    [(url, token)] = re.findall(r"(http://127\.0\.0\.1:\d+)/#token=(\w+)", server.output)
    page = httpx.get(url, trust_env=False)
    assert page.status_code == 200
    assert "inspector" in page.text.lower()
    headers = {"Authorization": f"Bearer {token}"}
    options = {"headers": headers, "trust_env": False, "timeout": PATIENCE}
    with httpx.stream("GET", f"{url}/feed", **options) as feed:
        assert feed.status_code == 200
        lines = feed.iter_lines()
        next(line for line in lines if '"lifespan"' in line)
        assert server.client.get("/hello?shown").text == "hello"
        next(line for line in lines if '"/hello?shown"' in line)
    server.stop()


def refuse(servers, *flags):
    """Returns what the server prints that refuses these flags."""
    server = servers.start("raw_http:app", *flags)
    server.expect_error("")
    assert server.wait_until_ended() == 2
    return server.output


@pytest.mark.parametrize(
    "flags", [["--workers", "2"], ["--reload"], ["--limit-max-requests", "5"]], ids=str
)
def test_several_processes_record_to_a_folder(serve, servers, tmp_path, flags):
    output = refuse(servers, "--record", str(tmp_path / "exchanges.jsonl"), *flags)
    assert "give --record a folder that exists" in output
    tmp_path.chmod(0o700)
    server = serve("raw_http:app", "--record", str(tmp_path), *flags)
    # Those of a worker that was started first, and of its successor.
    for _ in range(20):
        with Connection(server) as connection:
            assert connection.ask(get("/hello")).body == b"hello"
    server.stop()
    recorded = "".join(file.read_text() for file in tmp_path.glob("recording-*.jsonl"))
    starts = [line for line in recorded.splitlines() if '"http.response.start"' in line]
    assert len(starts) == 20


def test_each_worker_has_an_inspector_of_its_own(serve, servers):
    output = refuse(servers, "--inspect", "--workers", "2")
    assert "give --inspect=127.0.0.1:0" in output
    server = serve("raw_http:app", "--inspect=127.0.0.1:0", "--workers", "2")
    assert server.client.get("/hello").text == "hello"
    links = set()
    deadline = time.monotonic() + PATIENCE
    while len(links) < 2 and time.monotonic() < deadline:
        links = set(re.findall(r"http://127\.0\.0\.1:\d+/#token=\w+", server.output))
        time.sleep(0.01)
    assert len(links) == 2
