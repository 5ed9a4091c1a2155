"""`callgate.run` and `callgate.Server`, in programs of their own."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import httpx
import pytest

from conftest import APPS, PATIENCE, SERVER, free_port

pytestmark = [
    pytest.mark.every_loop,
    pytest.mark.skipif(SERVER != "callgate", reason="it is about the package callgate"),
]


def program(text, *arguments):
    """Starts a program, which has the application `raw_http.app`."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        cwd=APPS,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process, timeout=2 * PATIENCE):
    """Returns the exit status and the output of a program that is to end by itself."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"the program goes on: {process.communicate()[0]}") from None
    return process.returncode, output


def ask(port):
    """Returns the answer of a server that is about to start."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/hello", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize(
    "app",
    ["'raw_http:app'", "__import__('raw_http').app", "__import__('raw_http').create_app"],
)
def test_run_serves_until_a_signal(app):
    port = free_port()
    process = program(
        f"""
        import sys, callgate
        callgate.run({app}, port=int(sys.argv[1]), access_log=False, header=["x-one: 1", "x-two: 2"])
        print("after the server")
        """,
        port,
    )
    answer = ask(port)
    assert answer.text == "hello"
    assert (answer.headers["x-one"], answer.headers["x-two"]) == ("1", "2")
    process.send_signal(signal.SIGTERM)
    status, output = ended(process)
    assert status == 0, output
    assert "after the server" in output


def test_logging_may_be_configured_by_an_object():
    port = free_port()
    process = program(
        """
        import sys, callgate
        handler = {"class": "logging.StreamHandler", "formatter": "own"}
        config = {
            "version": 1,
            "formatters": {"own": {"format": "OWN %(message)s"}},
            "handlers": {"own": handler},
            "root": {"handlers": ["own"], "level": "INFO"},
        }
        callgate.run("raw_http:app", port=int(sys.argv[1]), log_config=config)
        """,
        port,
    )
    assert ask(port).text == "hello"
    process.send_signal(signal.SIGTERM)
    status, output = ended(process)
    assert (status, "OWN Callgate running on" in output) == (0, True), output


def test_none_is_no_limit_and_never():
    from callgate._callgate import Settings
    from callgate._server import OR_NONE, arguments_of

    arguments = arguments_of(dict.fromkeys([*OR_NONE, "ssl_keyfile", "uds"]))
    assert arguments == [f"--{name.replace('_', '-')}=none" for name in OR_NONE]
    assert Settings(["main:app", *arguments]).app == "main:app"


@pytest.mark.parametrize("value", [True, False])
def test_a_setting_without_a_value_is_true_or_false(value):
    port = free_port()
    target = "raw_http:create_app" if value else "raw_http:app"
    process = program(
        f"""
        import sys, callgate
        callgate.run({target!r}, port=int(sys.argv[1]), factory={value}, access_log={value})
        """,
        port,
    )
    assert ask(port).text == "hello"
    process.send_signal(signal.SIGTERM)
    status, output = ended(process)
    assert status == 0, output
    assert ("GET /hello" in output) == value


def test_a_server_in_a_loop_that_runs():
    process = program(
        """
        import asyncio, callgate, httpx
        from raw_http import app

        async def main():
            server = callgate.Server(app, port=0)
            [address] = server.addresses
            ready = asyncio.Event()
            serving = asyncio.create_task(server.serve(ready.set))
            await ready.wait()
            async with httpx.AsyncClient(trust_env=False) as client:
                print((await client.get(f"http://{address}/hello")).text)
            server.shutdown()
            await serving
            print("served")

        asyncio.run(main())
        """
    )
    status, output = ended(process)
    assert status == 0, output
    assert "hello\n" in output and "served\n" in output


def test_a_server_that_is_cancelled_shuts_its_application_down():
    process = program(
        """
        import asyncio, callgate

        async def app(scope, receive, send):
            assert scope["type"] == "lifespan"
            for _ in range(2):
                kind = (await receive())["type"]
                print(kind)
                await send({"type": f"{kind}.complete"})

        async def main():
            server = callgate.Server(app, port=0)
            ready = asyncio.Event()
            serving = asyncio.create_task(server.serve(ready.set))
            await ready.wait()
            serving.cancel()
            try:
                await serving
            except asyncio.CancelledError:
                print("cancelled")

        asyncio.run(main())
        """
    )
    status, output = ended(process)
    assert status == 0, output
    lines = [line for line in output.splitlines() if " INFO " not in line]
    assert lines == ["lifespan.startup", "lifespan.shutdown", "cancelled"]


def test_what_cannot_be_served_is_an_exception():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = program(
            """
            import sys, callgate
            from raw_http import app
            try:
                callgate.Server(app, port=int(sys.argv[1]))
            except callgate.ServeError as error:
                print("in use" in str(error), error.args[1])
            try:
                callgate.run(app, workers=2)
            except ValueError as error:
                print("main:app" in str(error))
            """,
            taken.getsockname()[1],
        )
        assert ended(process) == (0, "True 3\nTrue\n")


def test_a_server_may_be_dropped_on_any_thread():
    """The collector of cycles runs on any thread."""
    process = program(
        """
        import threading, callgate, raw_http

        servers = [callgate.Server(raw_http.app, port=0)]
        thread = threading.Thread(target=servers.clear)
        thread.start()
        thread.join()
        print("dropped")
        """
    )
    status, output = ended(process)
    assert (status, output.splitlines()[-1:]) == (0, ["dropped"])
    assert "Error" not in output


def test_several_servers_in_a_loop():
    process = program(
        """
        import asyncio, callgate, httpx
        from raw_http import app

        async def other(scope, receive, send):
            assert scope["type"] == "http"
            await asyncio.sleep(0.001)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"other"})

        async def main():
            servers = [callgate.Server(each, port=0) for each in (app, other, app)]
            # A server lingers for clients that keep their connections.
            async with httpx.AsyncClient(trust_env=False, headers={"connection": "close"}) as client:
                async def ask(server):
                    return (await client.get(f"http://{server.addresses[0]}/hello")).text

                running = []
                for server in servers:
                    ready = asyncio.Event()
                    running.append(asyncio.create_task(server.serve(ready.set)))
                    await ready.wait()
                    print(await ask(server))
                for task in running:
                    print(*await asyncio.gather(*map(ask, servers)))
                    servers.pop(0).shutdown()
                    await task
            again = callgate.Server(app, port=0)
            serving = asyncio.create_task(again.serve())
            await asyncio.sleep(0)
            again.shutdown()
            await serving

        asyncio.run(main())
        """
    )
    status, output = ended(process)
    assert status == 0, output
    lines = [line for line in output.splitlines() if " INFO " not in line]
    assert lines == [*"hello other hello".split(), "hello other hello", "other hello", "hello"]


def test_servers_in_a_loop_have_contexts_of_their_own():
    process = program(
        """
        import asyncio, callgate, contextvars, httpx

        name = contextvars.ContextVar("name")

        async def app(scope, receive, send):
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": name.get().encode()})
            name.set("of a request before")

        async def main():
            servers = []
            for each in ("one", "two"):
                name.set(each)
                servers.append((callgate.Server(app, port=0), asyncio.Event()))
                asyncio.create_task(servers[-1][0].serve(servers[-1][1].set))
                await servers[-1][1].wait()
            async with httpx.AsyncClient(trust_env=False) as client:
                for _ in range(3):
                    for server, _ in servers:
                        print((await client.get(f"http://{server.addresses[0]}/")).text)

        asyncio.run(main())
        """
    )
    status, output = ended(process)
    assert status == 0, output
    lines = [line for line in output.splitlines() if " INFO " not in line]
    assert lines == ["one", "two"] * 3


def test_run_on_a_thread_leaves_signals_to_the_program():
    port = free_port()
    process = program(
        """
        import os, signal, sys, threading, callgate
        from raw_http import app

        try:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(4))
            run = lambda: callgate.run(app, port=int(sys.argv[1]))
            threading.Thread(target=run, daemon=True).start()
            several = lambda: callgate.run("raw_http:app", workers=2)
            thread = threading.Thread(target=several)
            thread.start()
            thread.join()
            threading.Event().wait()
        finally:
            os._exit(5)
        """,
        port,
    )
    assert ask(port).text == "hello"
    process.send_signal(signal.SIGTERM)
    status, output = ended(process)
    assert status == 4, output
    assert "ValueError: a server of several processes needs the main thread" in output


def test_a_limit_of_requests_ends_the_server_of_an_object():
    port = free_port()
    process = program(
        """
        import sys, callgate
        from raw_http import app
        callgate.run(app, port=int(sys.argv[1]), limit_max_requests=2)
        print("the end")
        """,
        port,
    )
    assert [ask(port).text for _ in range(2)] == ["hello"] * 2
    status, output = ended(process)
    assert status == 0, output
    assert output.endswith("the end\n")


def test_a_variable_of_a_file_cannot_ask_for_workers_of_an_object(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text("WEB_CONCURRENCY=2\n")
    process = program(
        """
        import sys, callgate
        from raw_http import app
        callgate.run(app, port=0, env_file=sys.argv[1])
        """,
        file,
    )
    status, output = ended(process)
    assert status == 3, output
    assert output.startswith("error: `workers` and `reload` need the name of the application")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("prot=8000", "--prot"),
        ("port='many'", "--port"),
        ("threads=2", "--workers"),
        ("workers=2", "`workers` is a setting of processes"),
        ("reload=True", "`reload` is a setting of processes"),
        ("env_file='settings.env'", "`env_file` is a setting of processes"),
    ],
)
def test_a_wrong_setting_of_a_server_is_an_exception(setting, text):
    process = program(
        f"""
        import callgate
        from raw_http import app
        callgate.Server(app, port=0, workers=1, reload=False)
        callgate.Server(app, {setting})
        """
    )
    status, output = ended(process)
    assert status == 1
    assert text in output[output.index("ValueError: ") :]
