"""What the command line puts around an application: the lint, the recorder, the inspector."""

import json
import re

import httpx
import pytest

from conftest import SERVER
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
    assert server.client.get("/hello").text == "hello"
    server.stop()
