"""The short way of most requests on a connection of ours: a body that is there already, an answer in one piece."""

from collections.abc import Sequence

from starlette.types import Scope

from server.http.framing import Framing

_OK = b"HTTP/1.1 200 OK\r\n"


class Exchange(Framing):
    """Hands the body over and takes the answer without messages; whatever is unusual is left to uvicorn's own way."""

    def whole_body(self) -> bytes | None:
        """Take the body of the request that is being answered, if all of it is there; else nothing is taken."""
        cycle = self._running
        if cycle is None or cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        # What comes next is that the client leaves.
        cycle.message_event.clear()
        self.flow.resume_reading()
        return body

    def answer(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send 200 with `headers`, the length of `body` among them, and `body`; False: nothing was sent."""
        cycle = self._running
        if (
            cycle is None
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or self.flow.write_paused
        ):
            return False
        lines = [b"%s: %s\r\n" % header for header in (*cycle.default_headers, *headers)]
        head = b"".join((_OK, *lines, b"\r\n"))
        # A line break within a header would begin another one; uvicorn raises then.
        if head.count(b"\n") != len(lines) + 2 or head.count(b"\r") != len(lines) + 2:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(head + body)
        cycle.message_event.set()
        cycle.on_response()
        return True


def whole_body(scope: Scope) -> bytes | None:
    """Return the body of a request when all of it is there; None when it has to be waited for."""
    connection: Exchange | None = scope.get("state", {}).get("connection")
    return None if connection is None else connection.whole_body()


def answer_at_once(scope: Scope, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Send a whole answer; False, with nothing sent, where the server is of another kind or anything is unusual."""
    connection: Exchange | None = scope.get("state", {}).get("connection")
    return connection is not None and status == 200 and scope["method"] == "POST" and connection.answer(headers, body)
