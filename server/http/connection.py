"""One client connection: uvicorn's HTTP/1.1 protocol, with the limits that it leaves open."""

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Request line and headers together; a token has at most 8 KB of them.
MAXIMUM_HEAD_BYTES: Final = 32_768


class Connection(HttpToolsProtocol):
    """Closes on a request that does not arrive in time, and refuses one that two readers could read differently.

    An exception in a parser's callback makes uvicorn answer 400 and close.
    """

    # From the connection, or a request's first byte, until its last: longer than the gate waits for a body.
    message_timeout_s: ClassVar[float] = 15.0
    # For the client to take an answer that is larger than the buffers on its way.
    write_timeout_s: ClassVar[float] = 15.0

    _deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _unparsed_bytes = 0
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._arrived()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Expect the rest, also of what is no request yet: uvicorn has just stopped its own timer."""
        if self._deadline is None:
            self._expect()
        super().data_received(data)
        if self._in_head:
            # The parser keeps a header to itself until it is whole.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > MAXIMUM_HEAD_BYTES:
                self._close()

    def on_message_begin(self) -> None:
        """Begin to count the head."""
        self._head_bytes, self._unparsed_bytes, self._in_head = 0, 0, True
        if self._deadline is None:
            self._expect()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; drop a trailer, which must not become one (RFC 9110 section 6.5.1)."""
        if self._in_head:
            self._count(len(name) + len(value))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse a target that names a host of its own (RFC 9112 section 3.2); two lengths the parser refuses."""
        self._in_head = False
        if not self.url.startswith(b"/"):
            raise ValueError("only the origin form of a request target is answered")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing until the next request; uvicorn bounds the time between two."""
        self._arrived()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Expect the client to take what is waiting for it."""
        super().pause_writing()
        # Without a flush: the client does not read.
        self._write_deadline = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Expect nothing more of the client."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAXIMUM_HEAD_BYTES:
            raise ValueError("the head of a request is too large")

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(self.message_timeout_s, self._close)

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._deadline = None
        self.transport.close()
