"""TLS, as an application sees it."""

import asyncio
import signal
import ssl

import httpx
import pytest
from websockets.asyncio.client import connect

from conftest import PATIENCE, SERVER

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def flags(certificate):
    key, certificate = certificate
    return ["--ssl-keyfile", key, "--ssl-certfile", certificate]


@pytest.fixture(scope="module")
def context(certificate):
    return ssl.create_default_context(cafile=certificate[1])


def test_a_request_over_tls(serve, flags, context, journal, key):
    server = serve("raw_http:app", *flags)
    url = server.url.replace("http", "https")
    with httpx.Client(base_url=url, verify=context, trust_env=False) as client:
        assert client.get(f"/show_scope?{key}").text == "hello"
        assert client.post("/echo", content=b"x" * 1_000_000).content == b"x" * 1_000_000
    scope = journal.next(key)
    assert scope["scheme"] == "https"
    if SERVER == "callgate" or "tls" in scope.get("extensions", {}):
        tls = scope["extensions"]["tls"]
        assert tls["tls_version"] in (0x0303, 0x0304)
        assert isinstance(tls["cipher_suite"], int)
        assert "BEGIN CERTIFICATE" in tls["server_cert"]
        assert list(tls["client_cert_chain"]) == []


def test_a_websocket_over_tls(serve, flags, context, journal, key):
    server = serve("raw_websocket:app", *flags)
    url = server.ws_url.replace("ws", "wss")
    options = {"ssl": context, "proxy": None, "open_timeout": PATIENCE}

    # Not the client with threads: it reads and writes one TLS connection on two threads at once,
    # which Python's ssl does not allow, and now and then its request is lost.
    async def talk():
        async with connect(f"{url}/show_scope?{key}", **options):
            assert journal.next(key)["scheme"] == "wss"
        async with connect(f"{url}/echo?none", **options) as websocket:
            await websocket.send("x" * 100_000)
            assert await websocket.recv() == "x" * 100_000

    asyncio.run(asyncio.wait_for(talk(), 4 * PATIENCE))


@pytest.mark.skipif(SERVER != "callgate", reason="the signal ends uvicorn")
def test_sighup_loads_the_certificates_again(serve, flags, context):
    server = serve("raw_http:app", *flags)
    url = server.url.replace("http", "https")
    with httpx.Client(base_url=url, verify=context, trust_env=False) as client:
        assert client.post("/echo", content=b"before").content == b"before"
        server.signal(signal.SIGHUP)
        server.wait_for_output("the certificates have been loaded again")
        assert client.post("/echo", content=b"after").content == b"after"


def test_cleartext_where_tls_is_spoken_does_not_reach_the_application(serve, flags):
    server = serve("raw_http:app", *flags)
    try:
        answer = server.client.get("/hello")
    except httpx.TransportError:
        return
    assert 300 <= answer.status_code < 500
