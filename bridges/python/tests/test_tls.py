"""TLS, as an application sees it."""

import asyncio
import signal
import ssl
import subprocess

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


def test_an_encrypted_key(serve, certificate, context, tmp_path):
    key, certificate = certificate
    encrypted = tmp_path / "encrypted.pem"
    encrypts = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:a secret"]
    subprocess.run([*encrypts, "-out", encrypted], check=True, capture_output=True)
    assert "ENCRYPTED" in encrypted.read_text()
    flags = ["--ssl-keyfile", str(encrypted), "--ssl-certfile", certificate]
    server = serve("raw_http:app", *flags, "--ssl-keyfile-password", "a secret")
    url = server.url.replace("http", "https")
    assert httpx.get(f"{url}/hello", verify=context, trust_env=False).text == "hello"


@pytest.fixture
def client_certificate(tmp_path):
    """The certificate of an authority, and the key and the certificate of a client that it has signed."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    openssl("req", *new_key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=client")
    (tmp_path / "extensions").write_text("basicConstraints=CA:FALSE\n")
    sign = ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key"]
    openssl(*sign, "-set_serial", "1", "-extfile", "extensions", "-out", "client.pem")
    return tmp_path


def test_the_certificate_of_a_client(serve, flags, certificate, client_certificate, journal, key):
    reqs = "required" if SERVER == "callgate" else "2"
    ca = str(client_certificate / "ca.pem")
    server = serve("raw_http:app", *flags, "--ssl-ca-certs", ca, "--ssl-cert-reqs", reqs)
    url = server.url.replace("http", "https")
    context = ssl.create_default_context(cafile=certificate[1])
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/hello", verify=context, trust_env=False)
    context.load_cert_chain(client_certificate / "client.pem", client_certificate / "key.pem")
    with httpx.Client(base_url=url, verify=context, trust_env=False) as client:
        assert client.get(f"/show_scope?{key}").text == "hello"
    scope = journal.next(key)
    if SERVER == "callgate":
        [shown] = scope["extensions"]["tls"]["client_cert_chain"]
        assert "".join(shown.split()) == "".join(
            (client_certificate / "client.pem").read_text().split()
        )
        assert scope["extensions"]["tls"]["client_cert_name"] == "CN=client"


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
