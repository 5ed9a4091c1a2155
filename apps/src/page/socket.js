// Keeps a WebSocket open to the address beside this page, while the page is in front of someone. A lost
// one is opened again: after half a second, then after twice as long each time, up to 15 seconds.
// `on.state` is told "connecting", "open" and "lost", with the reason if the server gave one;
// `on.message` each message.
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
  // A page that one has left may be kept for the way back, and its sockets with it.
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
