"""One client connection: requests with exact ends, in time and within limits."""

import asyncio
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from starlette.types import Scope
from uvicorn.server import ServerState

from server.http.connections import Connections, Person
from server.http.exchange import Exchange

# Request line and headers together; a token has at most 8 KB of them.
MAXIMUM_HEAD_BYTES: Final = 32_768
# What is parsed at once, where no token was shown yet.
_PIECE_BYTES: Final = 4_096
# Of the one header that uvicorn does more with than to keep it.
_EXPECT_CHARACTERS: Final = len("expect")
# Of servers whose application brings none of its own: those of development and of the demo.
_COMPANIONS: Final[WeakKeyDictionary[ServerState, Connections]] = WeakKeyDictionary()


class Connection(Exchange):
    """Closes on a request that does not arrive in time, and refuses one whose head is too large.

    An application whose lifespan state has `connections` is served within their limits.
    """

    # From the connection, or a request's first byte, until its last: longer than the gate waits for a body.
    message_timeout_s: ClassVar[float] = 15.0
    # For the client to take an answer that is larger than the buffers on its way.
    write_timeout_s: ClassVar[float] = 15.0

    _deadline: asyncio.TimerHandle | None = None
    # Whether the end of a request is expected: a request that comes as a whole needs no deadline.
    _is_due = False
    _write_deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _unparsed_bytes = 0
    # What has arrived and waits for its turn.
    _kept = b""
    _waits = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request, or close where there is no room."""
        super().connection_made(transport)
        self._all: Connections = self.app_state.get("connections") or _companion(self.server_state)
        self.timeout_keep_alive = self._all.keep_alive_s
        if self._all.admit(self, self.client[0] if self.client else None):
            self._expect()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._all.forget(self)
        self._arrived()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Expect the rest, also of what is no request yet; keep what has to wait, and read no more meanwhile."""
        self._is_due = True
        if not self._kept and not self._all.takes_turns(self):
            self._parse(data)
        else:
            self._kept += data
            self._parse_kept()
            self._expect_what_is_due()

    def _parse_kept(self) -> None:
        """Parse one request after the other of what was kept, as far as this turn allows."""
        while self._kept and not self.transport.is_closing():
            # The answer before a request in the pipeline leads back here.
            if not self.pipeline and not self._waits:
                self._waits = self._all.must_wait(self, self._proceed)
            if self.pipeline or self._waits:
                self.transport.pause_reading()
                return
            self._parse_piece()
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _proceed(self) -> None:
        self._waits = False
        if not self.transport.is_closing():
            self._parse_piece()
            self._parse_kept()

    def _parse_piece(self) -> None:
        """Parse to the end of a head at most, so that no more than one request begins."""
        end = self._kept.find(b"\r\n\r\n", 0, _PIECE_BYTES) + 4
        end = end if end >= 4 else _PIECE_BYTES
        piece, self._kept = self._kept[:end], self._kept[end:]
        self._parse(piece)

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            # The parser keeps a header to itself until it is whole.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > MAXIMUM_HEAD_BYTES:
                self._close()
        self._expect_what_is_due()

    def on_response_complete(self) -> None:
        """Begin the next request that has come already, in its turn."""
        if not self.pipeline or not self._all.must_wait(self, self._go_on):
            self._go_on()

    def _go_on(self) -> None:
        super().on_response_complete()
        if not self._in_body and self.is_idle:
            self._forget_request()
        self._parse_kept()

    def _forget_request(self) -> None:
        """Keep nothing of an answered request: an idle connection would hold its token and headers, 5 kB."""
        self.cycle = self._running = None  # type: ignore[assignment]
        if not self._in_head:
            self.scope, self.headers, self.url = None, [], b""  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        """Begin to count the head."""
        if not self._muted:
            self._head_bytes, self._unparsed_bytes = 0, 0
            self._is_due = True
        super().on_message_begin()
        if not self._muted:
            self.scope.setdefault("state", {})["connection"] = self

    def on_url(self, url: bytes) -> None:
        """Count the request target."""
        if self._in_head:
            self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, and take it in one step instead of three: there are many."""
        if self._in_head:
            self._head_bytes += len(name) + len(value)
            if self._head_bytes > MAXIMUM_HEAD_BYTES or len(name) == _EXPECT_CHARACTERS:
                self._count(0)
                super().on_header(name, value)
            else:
                self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Count the connection as used."""
        if not self._muted:
            self._all.used(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing until the next request; uvicorn bounds the time between two."""
        super().on_message_complete()
        if not self._in_body:
            self._arrived()

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered; what still arrives is none yet."""
        return not self.pipeline and (not self.cycle or self.cycle.response_complete)

    def drop(self) -> None:
        """Close at once, to make room."""
        self.transport.abort()

    def trust(self, person: Person) -> None:
        """Count for `person`, whose verified token a request has just carried."""
        self._all.trust(self, person)

    def distrust(self) -> None:
        """Count for the source address again."""
        self._all.distrust(self, self.client[0] if self.client else None)

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

    def _expect_what_is_due(self) -> None:
        if self._is_due and self._deadline is None:
            self._expect()

    def _expect(self) -> None:
        self._is_due = True
        self._deadline = self.loop.call_later(self.message_timeout_s, self._close)

    def _arrived(self) -> None:
        self._is_due = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        self._deadline = None
        self.transport.close()


def trust(scope: Scope, person: Person) -> None:
    """Tell the connection of a request whose verified token it carried; nothing, on a server of another kind."""
    connection = _connection(scope)
    if connection is not None:
        connection.trust(person)


def distrust(scope: Scope) -> None:
    """Tell the connection of a request that its person sends more than they may."""
    connection = _connection(scope)
    if connection is not None:
        connection.distrust()


def _connection(scope: Scope) -> Connection | None:
    return scope.get("state", {}).get("connection")


def _companion(server: ServerState) -> Connections:
    found = _COMPANIONS.get(server)
    if found is None:
        found = _COMPANIONS[server] = Connections()
    return found
