// Keeps a WebSocket to an address relative to this page open while the page is shown. A lost WebSocket
// is opened again after half a second, then after twice as long each time, up to 15 seconds.
// `on.state` is called with "connecting", "open" or "lost", and the reason of the close frame;
// `on.message` is called with each message.
function keepOpen(address, on) {
  const url = new URL(address, document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const least = 500, most = 15000;
  let pause = least;
  let socket, timer;
  const open = () => {
    const opened = new WebSocket(url);
    socket = opened;
    on.state("connecting", "");
    opened.onopen = () => {
      pause = least;
      on.state("open", "");
    };
    opened.onmessage = (event) => on.message(event.data);
    opened.onclose = (event) => {
      if (socket !== opened) return;
      on.state("lost", event.reason);
      timer = setTimeout(open, pause);
      pause = Math.min(2 * pause, most);
    };
  };
  // The browser may keep a page that was left, and its WebSockets, for the back button.
  addEventListener("pagehide", () => {
    const left = socket;
    socket = null;
    clearTimeout(timer);
    left?.close();
  });
  addEventListener("pageshow", () => { if (!socket) open(); });
  open();
  return (message) => socket.send(message);
}
