"""Django in one file, with Channels: asynchronous and synchronous views, middleware, a form, a file, consumers."""

import asyncio
import contextvars

import django
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.signals import request_finished
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path
from journal import tell

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", f"{__name__}.add_field"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    LOGGING={"version": 1, "disable_existing_loggers": False},
)
django.setup()

current = contextvars.ContextVar("current", default="nothing")


def add_field(get_response):
    """Middleware that is synchronous, so Django runs it in a thread."""

    def middleware(request):
        current.set("set in middleware")
        response = get_response(request)
        response["x-middleware"] = "1"
        return response

    return middleware


async def asynchronous(request):
    await asyncio.sleep(0)
    return JsonResponse(
        {"path": request.path, "query": request.GET.dict(), "context": current.get()}
    )


def synchronous(request):
    return JsonResponse(
        {"scheme": request.scheme, "method": request.method, "host": request.get_host()}
    )


def form(request):
    file = request.FILES["file"]
    return JsonResponse({"note": request.POST["note"], "size": sum(map(len, file.chunks()))})


def content(request):
    return HttpResponse(request.body)


def file(request):
    return FileResponse(open(__file__, "rb"), filename="app.py")


async def stream(request):
    async def parts():
        for number in range(3):
            await asyncio.sleep(0)
            yield f"part {number} "

    return StreamingHttpResponse(parts())


def stream_of_a_thread(request):
    return StreamingHttpResponse(f"part {number} " for number in range(3))


async def endless(request):
    async def parts():
        try:
            while True:
                yield b"x" * 100
                await asyncio.sleep(0.01)
        except BaseException as error:
            tell(request.META["QUERY_STRING"], type(error).__name__)
            raise

    return StreamingHttpResponse(parts())


async def ends_with_its_client(request):
    """Django cancels a view whose client is gone."""
    tell(request.META["QUERY_STRING"], "called")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        tell(request.META["QUERY_STRING"], "CancelledError")
        raise


async def raises(request):
    raise ValueError("raised in Django")


async def finishes(request):
    """Tells when Django has finished the request."""
    key = request.META["QUERY_STRING"]

    def on_finished(**_):
        tell(key, "finished")
        request_finished.disconnect(on_finished)

    request_finished.connect(on_finished, weak=False)
    return HttpResponse("done")


urlpatterns = [
    path(name.replace("_", "-"), view)
    for name, view in list(globals().items())
    if getattr(view, "__module__", "") == __name__ and name not in ("add_field",) and callable(view)
]


class Group(AsyncJsonWebsocketConsumer):
    """Passes on what one client sends to all."""

    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def receive_json(self, content):
        await self.channel_layer.group_send(self.room, {"type": "said", "content": content})

    async def said(self, event):
        await self.send_json(event["content"])

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)
        tell(self.scope, code)


class Echo(WebsocketConsumer):
    """A synchronous consumer: it runs in a thread, and its sends go back to the loop."""

    def connect(self):
        self.accept(subprotocol="echo" if "echo" in self.scope["subprotocols"] else None)

    def receive(self, text_data=None, bytes_data=None):
        if text_data == "close":
            self.close(4000)
        else:
            self.send(text_data=text_data, bytes_data=bytes_data)

    def disconnect(self, code):
        tell(self.scope, code)


class Refuses(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await self.close()


class ServerSentEvents(AsyncHttpConsumer):
    async def handle(self, body):
        await self.send_headers(headers=[(b"content-type", b"text/event-stream")])
        for number in range(3):
            await self.send_body(f"data: {number}\n\n".encode(), more_body=True)
            await asyncio.sleep(0)
        await self.send_body(b"")


application = ProtocolTypeRouter(
    {
        "http": URLRouter(
            [path("events", ServerSentEvents.as_asgi()), re_path("", get_asgi_application())],
        ),
        "websocket": URLRouter(
            [
                path("group/<str:room>", Group.as_asgi()),
                path("echo", Echo.as_asgi()),
                path("refuses", Refuses.as_asgi()),
            ]
        ),
    }
)

assert get_channel_layer() is not None
