"""Reads connections with h11. Standard input is a JSON list of their octets, a character an octet."""

import json
import sys

import h11


def read(octets):
    """Returns the requests that h11 reads, and how it ends."""
    connection = h11.Connection(h11.SERVER)
    # No octets would be the end of the connection.
    if octets:
        connection.receive_data(octets)
    requests = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            if requests and not requests[-1]["is_complete"]:
                return requests, "RefusesContent"
            return requests, {"Refuses": error.error_status_hint}
        if event is h11.NEED_DATA:
            return requests, "Waits"
        if isinstance(event, h11.Request):
            requests.append(
                {
                    "method": event.method.decode("latin-1"),
                    "target": event.target.decode("latin-1"),
                    "content": "",
                    "trailers": [],
                    "is_complete": False,
                }
            )
        elif isinstance(event, h11.Data):
            requests[-1]["content"] += bytes(event.data).decode("latin-1")
        elif isinstance(event, h11.EndOfMessage):
            trailers = [b"%s: %s" % field for field in event.headers]
            requests[-1]["trailers"] = [line.decode("latin-1") for line in trailers]
            requests[-1]["is_complete"] = True
            if not respond(connection):
                return requests, "Closes"
        else:
            raise ValueError(f"an event that is not expected: {event!r}")


def respond(connection):
    """Sends a response without content that changes no protocol. Returns whether the connection lives on."""
    connection.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    if connection.our_state is h11.MUST_CLOSE:
        return False
    connection.start_next_cycle()
    return True


def main():
    verdicts = []
    for text in json.load(sys.stdin):
        requests, end = read(text.encode("latin-1"))
        verdicts.append({"requests": requests, "end": end})
    json.dump(verdicts, sys.stdout)


main()
