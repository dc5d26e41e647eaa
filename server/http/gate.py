"""The gate in front of /mcp: exact Host and Origin, one method, one bearer token, one bounded body."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from python_multipart.multipart import parse_options_header
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.audit.trail import AuditTrail
from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.errors import IssuerUnavailableError, TokenRefusedError
from server.exchange import Exchange
from server.http.answer import UNAVAILABLE, Answer, error_response
from server.http.origins import Origins
from server.settings import Settings

UNAUTHORIZED: Final = -32001
INVALID_REQUEST: Final = -32600
INTERNAL_ERROR: Final = -32603
BODY_TIMEOUT_S: Final = 10.0
_WATCHED_AFTER_S: Final = 0.05
# Of these, two would let two readers of one request see different things.
_SINGLE: Final = frozenset(
    {b"host", b"origin", b"authorization", b"content-type", b"content-encoding", b"content-length"}
)
_LENGTH_DIGITS: Final = 15
_CLOSE: Final = {"connection": "close"}
_log: Final = structlog.get_logger("request")
_Headers = Mapping[bytes, bytes]


class Gate:
    """An ASGI application around the MCP endpoint; what it lets through carries an Exchange in its scope."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        verifier: TokenVerifier,
        metadata: ResourceMetadata,
        trail: AuditTrail | None = None,
    ) -> None:
        """Guard `app`; `trail` records every decision before its answer leaves."""
        self._app: Final = app
        self._hosts: Final = frozenset(host.encode() for host in settings.hosts)
        self._origins: Final = Origins(settings.allowed_origins)
        self._maximum_bytes: Final = settings.max_body_bytes
        self._verifier: Final = verifier
        self._metadata: Final = metadata
        self._trail: Final = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and log it as one line."""
        started = time.perf_counter()
        record: dict[str, Any] = {"method": scope["method"]}
        headers: _Headers = dict(scope["headers"])
        answer = Answer(send, record, self._metadata, self._trail)
        answer.added = self._origins.headers(headers.get(b"origin"))
        try:
            refusal = self._misaddressed(scope, headers)
            if refusal is None:
                refusal = await self._admitted(scope, headers, receive, answer, record)
            if refusal is not None:
                await refusal(scope, receive, answer)
        except Exception:  # noqa: BLE001  # the last resort: the process lives, the caller learns nothing
            _log.exception("unhandled", **record)
            if answer.status is None:
                refusal = error_response(500, INTERNAL_ERROR, "Internal error; the operator has been told.")
                await refusal(scope, receive, answer)
        finally:
            record |= {"status": answer.status, "ms": round((time.perf_counter() - started) * 1000, 2)}
            _log.info("request", **record)

    def _misaddressed(self, scope: Scope, headers: _Headers) -> Response | None:
        """Judge what needs no token: ambiguous headers, the host, the origin, the method."""
        if len(headers) != len(scope["headers"]) and _repeats(scope):
            challenge = self._metadata.challenge("invalid_request", self._metadata.scopes)
            message = "A header that may be sent once was sent twice."
            return error_response(400, INVALID_REQUEST, message, {"www-authenticate": challenge})
        if headers.get(b"host") not in self._hosts:
            return error_response(421, INVALID_REQUEST, "This server does not answer to that host name.")
        origin = headers.get(b"origin")
        if not self._origins.allows(origin):
            return error_response(403, INVALID_REQUEST, "This origin is not allowed; list it in allowed_origins.")
        if origin is not None and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return self._origins.preflight()
        if scope["method"] != "POST":
            return error_response(405, INVALID_REQUEST, "Only POST is answered here.", {"allow": "POST"})
        return None

    async def _admitted(
        self, scope: Scope, headers: _Headers, receive: Receive, answer: Answer, record: dict[str, Any]
    ) -> Response | None:
        """Verify the token, then read the body and run the endpoint; return the refusal, if it comes to none."""
        text = _bearer(headers)
        if text is None:
            record["refused"] = "no bearer token"
            return self._unauthorized(TokenRefusedError("no bearer token"), None)
        try:
            token = await self._verifier.verify(text)
        except TokenRefusedError as error:
            record["refused"] = error.reason
            return self._unauthorized(error, "invalid_token")
        except IssuerUnavailableError as error:
            record["issuer"] = error.issuer
            return error_response(503, UNAVAILABLE, str(error), {"retry-after": "5"})
        record |= {"issuer": token.issuer, "subject": token.subject, "client": token.client_id}
        body = self._unreadable(headers) or await self._body(receive)
        if isinstance(body, Response):
            return body
        answer.exchange = Exchange(token, record=record)
        await self._pass(answer.exchange.attached(scope), receive, answer, body, answer.exchange)
        return None

    def _unauthorized(self, error: TokenRefusedError, code: str | None) -> Response:
        # RFC 6750 section 3.1: without a token, the challenge names no error.
        challenge = self._metadata.challenge(code, self._metadata.scopes)
        return error_response(401, UNAUTHORIZED, str(error), {"www-authenticate": challenge})

    def _unreadable(self, headers: _Headers) -> Response | None:
        """Judge by its headers whether the body can be read at all."""
        kind, parameters = parse_options_header(headers.get(b"content-type"))
        if kind != b"application/json" or parameters.get(b"charset", b"utf-8").lower() != b"utf-8":
            return error_response(415, INVALID_REQUEST, "The body must be application/json in UTF-8.", _CLOSE)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return error_response(415, INVALID_REQUEST, "A compressed body is not accepted.", _CLOSE)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _LENGTH_DIGITS or int(length) > self._maximum_bytes:
            return self._too_large()
        return None

    def _too_large(self) -> Response:
        return error_response(413, INVALID_REQUEST, f"The body is over {self._maximum_bytes} bytes.", _CLOSE)

    async def _body(self, receive: Receive) -> bytes | Response:
        """Read the whole body, bounded in size and time."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return error_response(400, INVALID_REQUEST, "The client left.")
                    body += message.get("body", b"")
                    if len(body) > self._maximum_bytes:
                        return self._too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return error_response(408, INVALID_REQUEST, "The body did not arrive in time.", _CLOSE)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, body: bytes, exchange: Exchange) -> None:
        """Run the endpoint on the body that was read, and end its work when the client leaves."""
        unread = [body]

        async def replay() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            exchange.cancellation.cancel()

        # Most calls are over sooner, and need no task to watch over them.
        watchers: list[asyncio.Task[None]] = []
        begin = asyncio.get_running_loop().call_later(
            _WATCHED_AFTER_S, lambda: watchers.append(asyncio.create_task(watch()))
        )
        try:
            await self._app(scope, replay, send)
        finally:
            begin.cancel()
            for watcher in watchers:
                watcher.cancel()


def _repeats(scope: Scope) -> bool:
    names = [name for name, _ in scope["headers"] if name in _SINGLE]
    return len(names) != len(set(names))


def _bearer(headers: _Headers) -> str | None:
    """Return the token of the Authorization header, the only place one is read from (RFC 6750 section 2.1)."""
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    token = token.strip(" ")
    return token if kind.lower() == "bearer" and token else None
