"""Applications of bare ASGI that use the event loop in every way that asyncio, anyio and sniffio have; one a path."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import subprocess
import sys
import threading

import anyio
import sniffio
from asgiref.sync import iscoroutinefunction
from journal import tell
from raw_http import body, read, start, stops_in_lifespan

request_id = contextvars.ContextVar("request_id")
set_in_lifespan = contextvars.ContextVar("set_in_lifespan", default="not set")


async def answer(send, text="done"):
    octets = str(text).encode()
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))


# What the application runs in.


async def current_task(scope, receive, send):
    task = asyncio.current_task()
    assert isinstance(task, asyncio.Task)
    assert task in asyncio.all_tasks()
    assert task.get_coro() is not None and task.get_name()
    await asyncio.sleep(0)
    assert asyncio.current_task() is task
    await read(receive)
    assert asyncio.current_task() is task
    await send(start())
    assert asyncio.current_task() is task
    await send(body())
    assert asyncio.current_task() is task


async def running_loop(scope, receive, send):
    loop = asyncio.get_running_loop()
    assert loop.is_running()
    assert threading.current_thread() is threading.main_thread()
    await answer(send, type(loop).__module__)


async def library(scope, receive, send):
    await answer(send, sniffio.current_async_library())


async def context_of_a_request(scope, receive, send):
    """What a request sets in its context is there until its end, and no other request sees it."""
    before = request_id.get("not set")
    request_id.set(scope["query_string"])
    await asyncio.sleep(0)
    await read(receive)
    await send(start())
    assert request_id.get() == scope["query_string"]
    await send(body(before.encode(), more=True))
    assert request_id.get() == scope["query_string"]
    await send(body())


async def context_of_children(scope, receive, send):
    request_id.set("parent")
    seen = await asyncio.gather(
        asyncio.create_task(seen_by_a_child()), asyncio.to_thread(request_id.get)
    )
    assert request_id.get() == "parent"
    await answer(send, " ".join(seen))


async def seen_by_a_child():
    seen = request_id.get()
    request_id.set("child")
    return seen


# `receive` and `send` are coroutine functions: their calls can be passed to whatever takes a coroutine.


async def kinds_of_calls(scope, receive, send):
    # As asgiref asks, for Django and Channels: by a mark that objects can have as well.
    assert iscoroutinefunction(receive), receive
    assert iscoroutinefunction(send), send
    event = receive()
    assert inspect.isawaitable(event)
    assert asyncio.iscoroutine(event), event
    await event
    await answer(send)


async def tasks_of_calls(scope, receive, send):
    event = await asyncio.create_task(receive())
    assert event["type"] == "http.request"
    await asyncio.create_task(send(start()))
    await asyncio.ensure_future(send(body(b"one ", more=True)))
    await asyncio.gather(send(body(b"two ", more=True)))
    await asyncio.wait_for(send(body(b"three ", more=True)), 5)
    await asyncio.wait([asyncio.ensure_future(send(body(b"four ", more=True)))])
    await asyncio.shield(send(body(b"five ", more=True)))
    async with asyncio.TaskGroup() as group:
        group.create_task(send(body(b"six ", more=True)))
    async with anyio.create_task_group() as group:
        group.start_soon(send, body(b"seven ", more=True))
    for coming in asyncio.as_completed([send(body(b"eight", more=True))]):
        await coming
    await send(body())


async def call_without_await(scope, receive, send):
    """A call does nothing until it is awaited."""
    begun = send(start(404))
    begun.close()
    event = receive()
    event.close()
    assert await read(receive) == b"content"
    await answer(send)


async def calls_from_a_thread(scope, receive, send):
    """Receives and sends from a thread, as bridges to WSGI do."""
    loop = asyncio.get_running_loop()

    def work():
        event = asyncio.run_coroutine_threadsafe(receive(), loop).result()
        asyncio.run_coroutine_threadsafe(send(start()), loop).result()
        asyncio.run_coroutine_threadsafe(send(body(event["body"])), loop).result()

    await asyncio.to_thread(work)


async def calls_from_an_anyio_thread(scope, receive, send):
    def work():
        event = anyio.from_thread.run(receive)
        anyio.from_thread.run(send, start())
        anyio.from_thread.run(send, body(event["body"]))

    await anyio.to_thread.run_sync(work)


async def calls_from_another_task(scope, receive, send):
    async def other():
        octets = await read(receive)
        await send(start())
        await send(body(octets))

    await asyncio.create_task(other())


async def calls_after_the_return(scope, receive, send):
    """Leaves a task behind that goes on to receive when the application has returned."""

    async def other():
        await asyncio.sleep(0.01)
        tell(scope, (await receive())["type"])
        tell(scope, (await receive())["type"])

    await answer(send)
    background.add(asyncio.create_task(other()))


async def sends_after_the_return(scope, receive, send):
    """Leaves a task behind that sends, when the application has returned without a whole response."""

    async def other():
        await asyncio.sleep(0.01)
        try:
            await send(body(b"late"))
            tell(scope, "sent")
        except BaseException as error:
            tell(scope, type(error).__name__)

    await send(start(headers=[(b"content-length", b"4")]))
    background.add(asyncio.create_task(other()))


background = set()


async def concurrent_sends(scope, receive, send):
    await send(start())
    await asyncio.gather(*(send(body(b"%03d" % number * 100, more=True)) for number in range(100)))
    await send(body())


async def concurrent_receives(scope, receive, send):
    """Each of two calls that wait learns of the disconnect."""
    await read(receive)
    events = await asyncio.gather(receive(), receive())
    tell(scope, [event["type"] for event in events])


# Time-outs and cancellation.


async def timeouts_lose_no_event(scope, receive, send):
    """Begins to receive again and again, and gives up each time before the content comes."""
    tell(scope, "waits")
    octets, more, timeouts = b"", True, 0
    while more:
        try:
            event = await asyncio.wait_for(receive(), 0.001)
        except TimeoutError:
            timeouts += 1
            continue
        octets += event["body"]
        more = event["more_body"]
    tell(scope, timeouts > 0)
    await answer(send, octets.decode())


async def every_kind_of_timeout(scope, receive, send):
    await read(receive)
    caught = []
    try:
        async with asyncio.timeout(0.01):
            await receive()
    except TimeoutError:
        caught.append("asyncio.timeout")
    with anyio.move_on_after(0.01) as moved:
        await receive()
    if moved.cancelled_caught:
        caught.append("anyio.move_on_after")
    try:
        with anyio.fail_after(0.01):
            await receive()
    except TimeoutError:
        caught.append("anyio.fail_after")
    try:
        await asyncio.wait_for(receive(), 0.01)
    except TimeoutError:
        caught.append("asyncio.wait_for")
    assert asyncio.current_task().cancelling() == 0
    await answer(send, " ".join(caught))


async def message_of_a_cancellation(scope, receive, send):
    await read(receive)
    waits = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    waits.cancel("the message")
    try:
        await waits
    except asyncio.CancelledError as error:
        await answer(send, error.args)


async def cancellation_of_the_call_itself(scope, receive, send):
    """The call is cancelled while it waits in receive, and goes on."""
    await read(receive)
    task = asyncio.current_task()
    asyncio.get_running_loop().call_later(0.01, task.cancel, "from outside")
    try:
        await receive()
    except asyncio.CancelledError as error:
        task.uncancel()
        await answer(send, error.args)


async def cancelled_before_the_first_step(scope, receive, send):
    """What is cancelled before it has begun has taken no event."""
    await asyncio.sleep(0.01)
    waits = asyncio.ensure_future(receive())
    waits.cancel()
    await asyncio.wait([waits])
    assert waits.cancelled()
    await answer(send, (await read(receive)).decode())


async def cancel_scope_in_a_task_group(scope, receive, send):
    """As Starlette's StreamingResponse: listens for the disconnect, and is cancelled when the stream has ended."""

    async def listen():
        while (await receive())["type"] != "http.disconnect":
            pass

    async def stream():
        await send(start())
        for _ in range(3):
            await send(body(b"part", more=True))
            await anyio.sleep(0.001)
        await send(body())
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await stream()
    assert asyncio.current_task().cancelling() == 0
    tell(scope, "left the group")


async def cancelled_send(scope, receive, send):
    """Gives up a send to a client that does not read."""
    await send(start())
    try:
        async with asyncio.timeout(0.2):
            while True:
                await send(body(b"x" * 100_000, more=True))
    except TimeoutError:
        tell(scope, "timeout")
    await asyncio.wait_for(wait_for_disconnect(receive), 5)
    tell(scope, "disconnected")


async def wait_for_disconnect(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


# The application's own work on the loop.


async def subprocesses(scope, receive, send):
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; print(sys.stdin.read() + '!')",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    output, _ = await child.communicate(await read(receive))
    assert child.returncode == 0
    await answer(send, output.decode().strip())


async def shell(scope, receive, send):
    child = await asyncio.create_subprocess_shell("exit 7")
    await answer(send, await child.wait())


async def executors(scope, receive, send):
    loop = asyncio.get_running_loop()
    in_default = await loop.run_in_executor(None, threading.current_thread)
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        power = await loop.run_in_executor(pool, pow, 2, 10)
    assert in_default is not threading.main_thread()
    await answer(send, power)


async def streams(scope, receive, send):
    """A server and a client of asyncio in the loop of the application."""

    async def upper(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(upper, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"line\n")
        line = await reader.readline()
        writer.close()
    await answer(send, line.decode().strip())


async def timers(scope, receive, send):
    loop = asyncio.get_running_loop()
    begun, order = loop.time(), []
    done = loop.create_future()
    loop.call_later(0.03, done.set_result, None)
    loop.call_later(0.02, order.append, "later")
    loop.call_at(begun + 0.01, order.append, "at")
    loop.call_soon(order.append, "soon")
    loop.call_soon_threadsafe(order.append, "threadsafe")
    await done
    assert loop.time() - begun >= 0.029
    await answer(send, " ".join(order))


async def sleeps_of_zero(scope, receive, send):
    for _ in range(1000):
        await asyncio.sleep(0)
    await answer(send)


async def signals(scope, receive, send):
    """Queues, events, locks and semaphores between calls."""
    lock, queue, event = asyncio.Lock(), asyncio.Queue(), asyncio.Event()

    async def produce():
        async with lock:
            await queue.put("from the queue")
        await event.wait()

    task = asyncio.create_task(produce())
    got = await queue.get()
    event.set()
    await task
    await answer(send, got)


async def exception_group(scope, receive, send):
    async def fail():
        raise ValueError("in a group")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(receive_for_ever(receive))
    except* ValueError as errors:
        text = str(errors.exceptions[0])
    await answer(send, text)


async def receive_for_ever(receive):
    while True:
        await receive()
        await asyncio.sleep(0)


async def wakes_another_call(scope, receive, send):
    """Two calls meet: each waits until the other has come."""
    waiting.append(asyncio.get_running_loop().create_future())
    if len(waiting) == 2:
        for future in waiting:
            future.set_result("met")
        future = waiting[1]
        waiting.clear()
    else:
        [future] = waiting
    await answer(send, await future)


waiting = []


async def shows_lifespan_context(scope, receive, send):
    await answer(send, set_in_lifespan.get())


PATHS = {
    f"/{name}": value
    for name, value in list(globals().items())
    if asyncio.iscoroutinefunction(value)
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        set_in_lifespan.set("set")
        return await stops_in_lifespan(scope, receive, send)
    await PATHS[scope["path"]](scope, receive, send)
