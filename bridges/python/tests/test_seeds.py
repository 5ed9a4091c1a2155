"""The programs of the documents that this project grew from, word for word in `apps/seeds`, and their like."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from conftest import PATIENCE, SERVER

pytestmark = pytest.mark.every_loop

BRANDS = [(1, "Callgate"), (2, "Ärger & Söhne"), (3, "third")]


def test_time(serve):
    answer = serve("seeds.time_api:app").client.get("/time").json()
    today = datetime.today()
    assert (answer["month"], answer["day"]) == (today.month, today.day)
    assert datetime.strptime(answer["time"], "%H:%M:%S.%f")


# `/brands`, on a PostgreSQL at the address, with the user and the database that the programs name.


class Relay(socketserver.BaseRequestHandler):
    """Passes on the octets of a connection to the Unix socket of the PostgreSQL."""

    def handle(self):
        with socket.socket(socket.AF_UNIX) as database:
            database.connect(self.server.path)
            back = threading.Thread(target=self.copy, args=(database, self.request))
            back.start()
            self.copy(self.request, database)
            back.join()

    @staticmethod
    def copy(source, target):
        with contextlib.suppress(OSError):
            while octets := source.recv(2**16):
                target.sendall(octets)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class RelayServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture(scope="session")
def products(postgres_url):
    import psycopg2

    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'postgres'")
        if not cursor.fetchone():
            cursor.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        cursor.execute("DROP DATABASE IF EXISTS products")
        cursor.execute("CREATE DATABASE products")
    connection.close()
    products = psycopg2.connect(postgres_url, dbname="products")
    with products, products.cursor() as cursor:
        cursor.execute("CREATE TABLE brand (brand_id int, brand_name text)")
        cursor.executemany("INSERT INTO brand VALUES (%s, %s)", BRANDS)
    products.close()
    try:
        server = RelayServer(("127.0.0.1", 5432), Relay)
    except OSError as reason:
        pytest.skip(
            f"the programs expect their PostgreSQL on port 5432, which cannot be had: {reason}"
        )
    server.path = unquote(urlsplit(postgres_url).netloc.split("@")[-1]) + "/.s.PGSQL.5432"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def check_brands(server):
    expected = [{"brand_id": number, "brand_name": name} for number, name in BRANDS]
    with ThreadPoolExecutor(10) as threads:
        for answer in threads.map(lambda _: server.client.get("/brands"), range(50)):
            assert answer.json() == expected


def test_brands_with_asyncpg(products, serve):
    check_brands(serve("seeds.main:app"))


def test_brands_with_asyncpg_and_workers(products, serve):
    check_brands(serve("seeds.main:app", "--workers", "2", "--log-level", "error"))


def test_brands_with_flask_and_psycopg2(products, serve):
    check_brands(serve("seeds.flasky:app", "--interface", "wsgi"))


# Bare applications.


def test_the_application_of_asgi(serve):
    answer = serve("seeds.asgi:application").client.get("/")
    assert (answer.text, answer.headers["content-type"]) == ("ASGI hello!", "text/html")


def test_the_application_of_wsgi(serve):
    answer = serve("seeds.wsgi:application", "--interface", "wsgi").client.get("/")
    assert (answer.text, answer.headers["content-type"]) == ("WSGI hello!", "text/html")


# WebSockets.


def test_the_counter_counts_the_clients(serve):
    server = serve("seeds.counter:app")
    with server.websocket("/counter") as first:
        assert first.recv() == "1"
        with server.websocket("/counter") as second:
            assert (first.recv(), second.recv()) == ("2", "2")
            with server.websocket("/counter") as third:
                assert [each.recv() for each in (first, second, third)] == ["3"] * 3
            assert (first.recv(), second.recv()) == ("2", "2")
        assert first.recv() == "1"


def test_the_counter_forgets_a_client_that_is_lost(serve):
    server = serve("seeds.counter:app")
    with server.websocket("/counter") as first:
        assert first.recv() == "1"
        second = server.websocket("/counter")
        assert first.recv() == "2"
        second.socket.shutdown(socket.SHUT_RDWR)
        assert first.recv() == "1"


def test_the_chat_page_and_its_websocket(serve):
    server = serve("seeds.chat:app")
    server.expect_error("WebSocketDisconnect")
    assert "<h1>WebSocket Chat</h1>" in server.client.get("/").text
    with server.websocket("/ws") as websocket:
        for text in ("hello", "grüße"):
            websocket.send(text)
            assert websocket.recv() == f"Message received: {text}"


@pytest.fixture
def browser():
    """A browser that takes each address for that of this machine."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver (Debian has it in `chromium-driver`)")
    browsers = []

    def start(port):
        options = webdriver.ChromeOptions()
        # The page names the port 8000.
        mapping = f"MAP localhost:8000 127.0.0.1:{port}"
        flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]
        for flag in (*flags, f"--host-resolver-rules={mapping}"):
            options.add_argument(flag)
        browsers.append(webdriver.Chrome(options, webdriver.ChromeService(driver)))
        return browsers[-1]

    yield start
    for each in browsers:
        each.quit()


def test_the_chat_in_a_browser(serve, browser):
    server = serve("seeds.chat:app")
    server.expect_error("WebSocketDisconnect")
    page = browser(server.address[1])
    page.get("http://localhost:8000/")

    def texts():
        return [item.text for item in page.find_elements("css selector", "#messages li")]

    # Over a WebSocket that is open.
    WebDriverWait(page, PATIENCE).until(
        lambda page: page.execute_script("return ws.readyState") == 1
    )
    for count, text in enumerate(("hello", "grüße"), 1):
        page.find_element("id", "messageText").send_keys(text)
        page.find_element("tag name", "button").click()
        WebDriverWait(page, PATIENCE).until(lambda _, count=count: len(texts()) == count)
    assert texts() == ["Message received: hello", "Message received: grüße"]


# Work beside the loop.


def test_the_process_pool(serve):
    server = serve("seeds.fibonacci:app")
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(
            lambda number: server.client.get(f"/fibonacci/{number}").json(), range(15, 23)
        )
        assert list(answers) == [610, 987, 1597, 2584, 4181, 6765, 10946, 17711]


@pytest.mark.uvicorn_fails("ends by the signal itself, and leaves the processes of the pool behind")
def test_the_process_pool_ends_with_the_server(serve):
    server = serve("seeds.fibonacci:app")
    assert server.client.get("/fibonacci/15").json() == 610
    server.signal()
    server.process.wait(timeout=PATIENCE)
    with pytest.raises(ProcessLookupError):
        os.killpg(server.process.pid, 0)


def test_the_background_task(serve):
    server = serve("seeds.background_tasks:app")
    assert server.client.post("/items/7").json() == {"message": "Item received"}
    server.wait_for_output("Processing item 7")


def check_work(server):
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(server.client.get, "/work/6", timeout=60)
        checks = 0
        while not work.done():
            assert server.client.get("/check").text == "OK"
            checks += 1
        assert work.result().text == "1000000"
    assert checks > 0


def test_work_in_starlette(serve):
    check_work(serve("work_starlette:app"))


def test_work_in_bocadillo(servers, tmp_path):
    python = os.environ.get("CALLGATE_TEST_BOCADILLO")
    if not python:
        pytest.skip(
            "no CALLGATE_TEST_BOCADILLO, the Python of an environment by requirements-bocadillo.txt"
        )
    servers.python = python
    # That environment does not have the package under test, and must not have those beside it.
    package = Path(importlib.util.find_spec(SERVER).origin).parent
    (tmp_path / SERVER).symlink_to(package)
    server = servers.serve("work_bocadillo:app", env={"PYTHONPATH": str(tmp_path)})
    assert server.client.get("/").text == "Hello, world!"
    check_work(server)


# The test with `AsyncClient`. Its `app=` is gone from httpx since 0.28: here the client asks the server.


def test_the_async_client(serve):
    server = serve("seeds.async_client:app")

    async def read_item():
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            response = await client.get("/items/42")
            assert response.status_code == 200
            assert response.json() == {"item_id": 42, "name": "Test Item"}

    asyncio.run(read_item())


# Django: the commands of the document, and asynchronous views in the new project.

VIEWS = """
import asyncio
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse


async def task(number):
    await asyncio.sleep(0.01)
    return number


async def concurrent(request):
    return JsonResponse({"tasks": await asyncio.gather(*map(task, range(5)))})


def plain(request):
    return HttpResponse(f"{request.method} {request.path}")


async def stream(request):
    async def parts():
        for number in range(3):
            await asyncio.sleep(0)
            yield f"part {number} "
    return StreamingHttpResponse(parts())
"""

URLS = """
from async_api import views
from django.urls import path

urlpatterns = [path("concurrent", views.concurrent), path("plain", views.plain), path("stream", views.stream)]
"""


@pytest.fixture(scope="session")
def django_project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("django")
    django_admin = [sys.executable, "-m", "django"]
    subprocess.run([*django_admin, "startproject", "async_views"], cwd=directory, check=True)
    project = directory / "async_views"
    subprocess.run([sys.executable, "manage.py", "startapp", "async_api"], cwd=project, check=True)
    Path(project / "async_api" / "views.py").write_text(VIEWS)
    Path(project / "async_views" / "urls.py").write_text(URLS)
    return project


def check_django(server):
    assert server.client.get("/plain").text == "GET /plain"
    assert server.client.get("/stream").text == "part 0 part 1 part 2 "
    with ThreadPoolExecutor(10) as threads:
        for answer in threads.map(lambda _: server.client.get("/concurrent"), range(50)):
            assert answer.json() == {"tasks": [0, 1, 2, 3, 4]}


def test_asynchronous_views_of_django(django_project, serve):
    server = serve("async_views.asgi:application", "--app-dir", str(django_project))
    check_django(server)


def test_the_same_project_of_django_by_wsgi(django_project, serve):
    server = serve(
        "async_views.wsgi:application", "--app-dir", str(django_project), "--interface", "wsgi"
    )
    assert server.client.get("/plain").text == "GET /plain"
    assert server.client.get("/concurrent").json() == {"tasks": [0, 1, 2, 3, 4]}
