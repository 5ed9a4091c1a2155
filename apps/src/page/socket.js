// Keeps a WebSocket open to the address beside this page. A lost one is opened again: after half a
// second, then after twice as long each time, up to 15 seconds. `on.state` is told "connecting",
// "open" and "lost", with the reason if the server gave one; `on.message` each message.
function keepOpen(address, on) {
  const url = new URL(address, document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const patience = { least: 500, most: 15000 };
  let socket;
  let pause = patience.least;
  const open = () => {
    on.state("connecting", "");
    socket = new WebSocket(url);
    socket.onopen = () => {
      pause = patience.least;
      on.state("open", "");
    };
    socket.onmessage = (event) => on.message(event.data);
    socket.onclose = (event) => {
      on.state("lost", event.reason);
      setTimeout(open, pause);
      pause = Math.min(2 * pause, patience.most);
    };
  };
  open();
  return (message) => socket.send(message);
}
