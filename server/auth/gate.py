"""The gate in front of /mcp: exact Host and Origin, one method, one bearer token, one bounded body."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import anyio
import structlog
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.errors import ForbiddenError, IssuerUnavailableError, ScopeMissingError, TokenRefusedError
from server.exchange import Exchange
from server.settings import Settings

UNAUTHORIZED: Final = -32001
UNAVAILABLE: Final = -32005
INVALID_REQUEST: Final = -32600
_BODY_TIMEOUT_S: Final = 10.0
_log: Final = structlog.get_logger("request")


class Gate:
    """An ASGI application around the MCP endpoint; what it lets through carries an Exchange in its scope."""

    def __init__(self, app: ASGIApp, settings: Settings, verifier: TokenVerifier, metadata: ResourceMetadata) -> None:
        """Guard `app`."""
        self._app: Final = app
        self._hosts: Final = settings.hosts
        self._origins: Final = frozenset(settings.allowed_origins)
        self._maximum_bytes: Final = settings.max_body_bytes
        self._verifier: Final = verifier
        self._metadata: Final = metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and log it as one line."""
        started = time.perf_counter()
        record: dict[str, Any] = {"method": scope["method"]}
        answer = _Answer(send, self._metadata)
        try:
            await self._handle(scope, receive, answer, record)
        except Exception:  # noqa: BLE001  # the last resort: the process lives, the caller learns nothing
            _log.exception("unhandled", **record)
            if answer.status is None:
                await _error(500, -32603, "Internal error; the operator has been told.")(scope, receive, answer)
        finally:
            record |= {"status": answer.status, "ms": round((time.perf_counter() - started) * 1000, 2)}
            _log.info("request", **record)

    async def _handle(self, scope: Scope, receive: Receive, answer: "_Answer", record: dict[str, Any]) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        try:
            token = await self._verifier.verify(_bearer(headers))
        except TokenRefusedError as error:
            record["refused"] = error.reason
            await self._unauthorized(error, headers)(scope, receive, answer)
            return
        except IssuerUnavailableError as error:
            record["issuer"] = error.issuer
            await _error(503, UNAVAILABLE, str(error), {"retry-after": "5"})(scope, receive, answer)
            return
        exchange = Exchange(token, record=record)
        record |= {"issuer": token.issuer, "subject": token.subject, "client": token.client_id}
        body = await self._body(receive)
        if isinstance(body, Response):
            await body(scope, receive, answer)
            return
        answer.exchange = exchange
        await self._pass(exchange.attached(scope), receive, answer, body, exchange)

    def _refusal(self, method: str, headers: Headers) -> Response | None:  # noqa: PLR0911  # one a rule
        """Judge what needs no token: the address, the origin, the method, the kind of body."""
        if len(headers.getlist("host")) != 1 or headers["host"] not in self._hosts:
            return _error(421, INVALID_REQUEST, "This server does not answer to that host name.")
        if "origin" in headers and headers["origin"] not in self._origins:
            return _error(403, INVALID_REQUEST, "This origin is not allowed; list it in allowed_origins.")
        if method != "POST":
            return _error(405, INVALID_REQUEST, "Only POST is answered here.", {"allow": "POST"})
        kind, parameters = parse_options_header(headers.get("content-type"))
        if kind != b"application/json" or parameters.get(b"charset", b"utf-8").lower() != b"utf-8":
            return _error(415, INVALID_REQUEST, "The body must be application/json.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            return _error(415, INVALID_REQUEST, "A compressed body is not accepted.")
        if len(headers.getlist("authorization")) > 1:
            return _error(400, INVALID_REQUEST, "More than one Authorization header.")
        return None

    def _unauthorized(self, error: TokenRefusedError, headers: Headers) -> Response:
        # RFC 6750 section 3.1: without a token, the challenge names no error.
        code = "invalid_token" if "authorization" in headers else None
        challenge = self._metadata.challenge(code, self._metadata.scopes)
        return _error(401, UNAUTHORIZED, str(error), {"www-authenticate": challenge})

    async def _body(self, receive: Receive) -> bytes | Response:
        """Read the whole body, bounded in size and time."""
        body = bytearray()
        try:
            with anyio.fail_after(_BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _error(400, INVALID_REQUEST, "The client left.")
                    body += message.get("body", b"")
                    if len(body) > self._maximum_bytes:
                        return _error(413, INVALID_REQUEST, f"The body is over {self._maximum_bytes} bytes.", _CLOSE)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return _error(408, INVALID_REQUEST, "The body did not arrive in time.", _CLOSE)

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

        watcher = asyncio.create_task(watch())
        try:
            await self._app(scope, replay, send)
        finally:
            watcher.cancel()


_CLOSE: Final = {"connection": "close"}


class _Answer:
    """The `send` of one request: it remembers the status, and makes a 403 of a refusal that came from the protocol."""

    def __init__(self, send: Send, metadata: ResourceMetadata) -> None:
        self._send: Final = send
        self._metadata: Final = metadata
        self.exchange: Exchange | None = None
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.exchange is not None and self.exchange.refusal is not None:
                message = self._refused(message, self.exchange.refusal)
            self.status = message["status"]
        await self._send(message)

    def _refused(self, message: Message, refusal: ForbiddenError) -> Message:
        headers = list(message.get("headers", ()))
        if isinstance(refusal, ScopeMissingError):
            challenge = self._metadata.challenge("insufficient_scope", refusal.scopes)
            headers.append((b"www-authenticate", challenge.encode()))
        return {**message, "status": 403, "headers": headers}


def _bearer(headers: Headers) -> str:
    """Return the token of the Authorization header, the only place one is read from (RFC 6750 section 2.1)."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise TokenRefusedError("no bearer token")
    return token.strip()


def _error(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON-RPC error over HTTP, so that a client can show the reason."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers={"cache-control": "no-store", **(headers or {})})
