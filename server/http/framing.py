"""Where one request ends and the next begins on a connection: uvicorn's protocol, exact about it."""

from collections.abc import Iterable
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})
_INVALID: Final = "Invalid HTTP request received."


class Framing(HttpToolsProtocol):
    """Reads every body as the body of its request, and refuses a request that two readers could read differently.

    The parser takes the head of a request with `Upgrade` for its end. Upgrade is ignored here (RFC 9110 section 7.8),
    so a second parser reads on from there. An exception in a parser's callback refuses the request.
    """

    _in_head = False
    _in_body = False
    _refused = False
    # The length of a request with Upgrade, between the end of its head and the second parser.
    _length: tuple[tuple[bytes, bytes], ...] | None = None
    # While the second parser reads a head that nobody sent.
    _muted = False

    # The request that is being answered: with several in one segment, not the one that was read last.
    _running: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered."""
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse everything that came."""
        self._unset_keepalive_if_required()
        if self._refused:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = self._after_upgrade(rest)
        except httptools.HttpParserError:
            self._refuse()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._muted:
            self._in_head = True
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take the request target, or a piece of it."""
        if not self._muted:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer, which must not become one (RFC 9110 section 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse a head that leaves the end of its request open; otherwise let the request begin."""
        if self._muted:
            return
        self._in_head = False
        # RFC 9112 section 3.2: another form of the target could name a host of its own.
        if not self.url.startswith(b"/"):
            raise ValueError("only the origin form of a request target is answered")
        length = _checked_length(self.headers, self.parser.get_http_version())
        if self.parser.should_upgrade():
            # RFC 9110 section 9.3.6: what follows is a tunnel for one reader and the next request for another.
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("CONNECT is not answered")
            self._length = length
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        """End a request; where only a head with Upgrade ends, wait for the second parser."""
        if self._length is None:
            self._in_body = False
            super().on_message_complete()

    def _after_upgrade(self, data: memoryview) -> memoryview:
        """Parse `data`; return what follows a head with Upgrade, or nothing."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._continue_with_body()
            return data[stop.args[0] :]
        return data[:0]

    def _continue_with_body(self) -> None:
        """Take a new parser, brought to the place where the first one stopped."""
        length = self._length or ()
        closing = () if self.parser.should_keep_alive() else ((b"connection", b"close"),)
        self._length = None
        self.parser = httptools.HttpRequestParser(self)
        # As uvicorn sets the first one up: what follows the last request is ignored, and its answer still leaves.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"POST / HTTP/1.1", *(b"%s: %s" % header for header in (*length, *closing))]
        self._muted = True
        try:
            self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")
        finally:
            self._muted = False

    def _refuse(self) -> None:
        """Answer 400 where that cannot be taken for the answer to another request, close, and read nothing more."""
        self._refused = True
        unanswered = self.pipeline or (self.cycle and not self.cycle.response_complete)
        if self._in_body:
            # The request at fault has begun: nothing but its own answer may follow, and only one.
            unanswered = self.pipeline or self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if unanswered:
            self.transport.close()
        else:
            self.send_400_response(_INVALID)


def _checked_length(headers: Iterable[tuple[bytes, bytes]], version: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that gives the length of the body, or nothing; ValueError where it could be read in two ways.

    RFC 9112 section 6.1: a message with both lengths, or with chunks in HTTP/1.0, is a sign of request smuggling.
    """
    length = tuple(header for header in headers if header[0] in _LENGTHS)
    if len(length) > 1:
        raise ValueError("a request has one length")
    if length and length[0][0] == b"transfer-encoding" and (length[0][1].lower() != b"chunked" or version != "1.1"):
        raise ValueError("chunks are the only transfer encoding, from HTTP/1.1 on")
    return length
