"""One call of an AWS client, limited in time and size, that another thread can cancel.

botocore reads an answer of any length, however slowly it arrives; its time-outs limit one read, not the whole
answer. Here the whole call has one deadline for all attempts, and an answer has a largest size.
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
    """The call's deadline has passed or it was cancelled; no further attempt is made."""


class BoundedCall:
    """One call with all its attempts; `run` it in a worker thread, `break_off` from any thread."""

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
        """Return the time that is left; raise CallOverError when none is left."""
        remaining = self._deadline - time.monotonic()
        if self._over or remaining <= 0:
            raise CallOverError
        return max(remaining, _LEAST_TIMEOUT_S)

    def hold(self, connection: socket.socket | None) -> None:
        """Remember the socket that is being read; None when none is."""
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
    # The plain socket's method, for TLS too: the TLS socket's own would dismantle the connection while it is read.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Connection(AWSHTTPConnection):
    """Reports the socket that it reads to the call of this thread."""

    def getresponse(self) -> Any:
        """Wait for the answer's headers."""
        _thread.call.hold(self.sock)
        return super().getresponse()


class _TlsConnection(AWSHTTPSConnection):
    """The same over TLS."""

    def getresponse(self) -> Any:
        """Wait for the answer's headers."""
        _thread.call.hold(self.sock)
        return super().getresponse()


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Body:
    """A body that was already read, in the form that AWSResponse expects."""

    def __init__(self, content: bytes) -> None:
        self._content: Final = content

    def stream(self) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self._content


def bound(client: Any, operation: str, maximum_bytes: int) -> None:
    """Make every request of `operation` keep the deadline of its BoundedCall and read at most `maximum_bytes`."""
    # botocore has no way to pass a session; these two attributes are the only private ones that are used.
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
    """Read the body; after an answer that is too long the connection is dropped, so memory stays limited."""
    content = bytearray()
    try:
        while part := raw.read(_READ_BYTES):
            content += part
            if len(content) > maximum_bytes:
                raise AnswerTooLargeError
        raw.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        # As botocore's own error, so that its retry modes recognise it.
        raise HTTPClientError(error=error) from error
    finally:
        raw.close()
    return bytes(content)
