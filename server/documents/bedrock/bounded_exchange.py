"""One call of an AWS client, bounded in time and size, that can be broken off from another thread.

botocore reads whatever it is sent, however much and however slowly; its time-outs are for one read, not for the
answer. Here the whole call has one deadline, over all attempts, and an answer has a largest size.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, TypeVar

import urllib3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSResponse,
)
from botocore.exceptions import HTTPClientError

_READ_BYTES: Final = 65_536
_LEAST_TIMEOUT_S: Final = 0.01
_thread: Final = threading.local()
T = TypeVar("T")


class AnswerTooLargeError(Exception):
    """The answer is longer than the limit; the rest was not read."""


class CallOverError(Exception):
    """The call's deadline has passed or it was broken off; no further attempt is made."""


class BoundedCall:
    """One call with all its attempts; `run` it in a worker thread, `break_off` from anywhere."""

    def __init__(self, seconds: float) -> None:
        """Start the clock: waiting for a free thread counts too."""
        self._deadline: Final = time.monotonic() + seconds
        self._lock: Final = threading.Lock()
        self._over = False
        self._socket: socket.socket | None = None

    def run(self, function: Callable[[], T]) -> T:
        """Return what `function` returns; requests that it makes in this thread belong to this call."""
        _thread.call = self
        try:
            return function()
        finally:
            _thread.call = None

    def remaining_s(self) -> float:
        """Return the time that is left; raise CallOverError when there is none."""
        remaining = self._deadline - time.monotonic()
        if self._over or remaining <= 0:
            raise CallOverError
        return max(remaining, _LEAST_TIMEOUT_S)

    def hold(self, connection: socket.socket | None) -> None:
        """Remember the socket that is being read, or None when it no longer is."""
        with self._lock:
            self._socket = connection
            if self._over and connection is not None:
                _shut(connection)

    def break_off(self) -> None:
        """End the call: a read in progress fails at once, and its thread is free."""
        with self._lock:
            self._over = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(connection: socket.socket) -> None:
    # The plain socket's method, also for TLS, whose own would take the connection apart under its reader.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Connection(AWSHTTPConnection):
    """Reports the socket that it reads to the call of this thread."""

    def getresponse(self) -> Any:
        """Wait for the answer's head."""
        _thread.call.hold(self.sock)
        return super().getresponse()


class _TlsConnection(AWSHTTPSConnection):
    """The same over TLS."""

    def getresponse(self) -> Any:
        """Wait for the answer's head."""
        _thread.call.hold(self.sock)
        return super().getresponse()


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Body:
    """A body that was read already, as AWSResponse expects it."""

    def __init__(self, content: bytes) -> None:
        self._content: Final = content

    def stream(self) -> Iterator[bytes]:
        """Yield the whole."""
        yield self._content


def bound(client: Any, operation: str, maximum_bytes: int) -> None:
    """Make every request of `operation` keep the deadline of its BoundedCall and read at most `maximum_bytes`."""
    # botocore offers no way to hand it a session; these two attributes are the only private ones that are used.
    session: Any = client._endpoint.http_session  # noqa: SLF001
    session._pool_classes_by_scheme.update(http=_Pool, https=_TlsPool)  # noqa: SLF001

    def send(request: Any, **_: Any) -> AWSResponse:
        call: BoundedCall = _thread.call
        request.context["read_timeout"] = call.remaining_s()
        request.stream_output = True
        try:
            response = session.send(request)
            content = _read(response.raw, maximum_bytes)
        finally:
            call.hold(None)
        return AWSResponse(response.url, response.status_code, response.headers, _Body(content))

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_last(f"before-send.{service}.{operation}", send)


def _read(raw: Any, maximum_bytes: int) -> bytes:
    """Read the body; an answer that is too long costs its connection, not memory."""
    content = bytearray()
    try:
        while part := raw.read(_READ_BYTES):
            content += part
            if len(content) > maximum_bytes:
                raise AnswerTooLargeError
        raw.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        # In botocore's words, so that its retry modes know it.
        raise HTTPClientError(error=error) from error
    finally:
        raw.close()
    return bytes(content)
