"""The gate in front of the protocol: a request in, one recorded answer out."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from mcp_types import INTERNAL_ERROR, INVALID_REQUEST
from python_multipart.multipart import parse_options_header
from starlette.types import Receive, Scope, Send

from server.auth.access_token import AccessToken
from server.auth.credentials import credentials_of
from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.errors import IssuerUnavailableError, LimitError, TokenRefusedError, TokenTooLongError
from server.http.address import Address, tenant_asked
from server.http.bounds import out_of_bounds
from server.http.caching import not_stored
from server.http.connection import distrust, trust
from server.http.departure import Departure, departed
from server.http.exchange import answer_at_once, whole_body
from server.http.outcome import (
    LIMITED,
    UNAUTHORIZED,
    UNAVAILABLE,
    Decision,
    Outcome,
    VerifiedRequest,
    encoded,
    refusal,
)
from server.http.paced_refusals import PacedRefusals
from server.http.recorder import Recorder, new_request_id
from server.settings import Settings
from server.tenancy.limits import Limits

BODY_TIMEOUT_S: Final = 10.0
_LENGTH_DIGITS: Final = 15
_CLOSE: Final = ("connection", "close")
_RETRY: Final = ("retry-after", "5")
_log: Final = structlog.get_logger("request")
_Headers = Mapping[bytes, bytes]


class Gate:
    """An ASGI application that lets verified requests through to `endpoint`."""

    def __init__(  # noqa: PLR0913  # the parts of a gate
        self,
        endpoint: Callable[[VerifiedRequest], Awaitable[Outcome]],
        settings: Settings,
        verifier: TokenVerifier,
        metadata: ResourceMetadata,
        limits: Limits,
        *,
        recorder: Recorder | None = None,
    ) -> None:
        """Guard `endpoint`; `limits` admits each person, `recorder` records every decision before its answer leaves."""
        self._endpoint: Final = endpoint
        self._address: Final = Address(settings, metadata)
        self._maximum_bytes: Final = settings.max_body_bytes
        self._verifier: Final = verifier
        self._metadata: Final = metadata
        self._limits: Final = limits
        self._recorder: Final = recorder or Recorder(settings)
        self.refusals: Final = PacedRefusals()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide, record, answer, and log one line."""
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope["request_id"] = request_id = new_request_id()
        scope["started"] = started
        outcome = await self._decided(scope, headers, receive)
        if outcome.status == 429:
            outcome = await self._paced(outcome, scope, receive)
        outcome, line = self._recorder.recorded(outcome, scope, headers, started)
        length = () if outcome.status == 204 else ((b"content-length", str(len(outcome.body)).encode()),)
        added = ((b"x-request-id", request_id.encode()), *self._address.readable_by(headers.get(b"origin")))
        sent = not_stored([*outcome.headers, *length, *added])
        try:
            if not answer_at_once(scope, outcome.status, sent, outcome.body):
                await send({"type": "http.response.start", "status": outcome.status, "headers": sent})
                await send({"type": "http.response.body", "body": outcome.body})
        finally:
            self._recorder.log(line, outcome, started)

    async def _decided(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Outcome:
        """Take the request through every stage; the first that refuses it decides."""
        token: AccessToken | None = None
        try:
            early = self._address.judge(scope, headers)
            if early is not None:
                return early
            asked = tenant_asked(scope)
            verified = await self._verified(headers, asked)
            if isinstance(verified, Outcome):
                return verified
            token = verified
            # Before anything else is done for them, whatever the method will be.
            await self._limits.admit(token)
            trust(scope, (token.issuer, token.subject))
            body = self._unreadable(headers, token) or self._judged(whole_body(scope), token)
            if body is None:
                body = await self._body(receive, token)
            if isinstance(body, Outcome):
                return body
            await self._limits.weigh(token, body)
            request = VerifiedRequest(scope, headers, body, token, asked)
            with Departure(receive, request.cancellation.cancel):
                return await self._endpoint(request)
        except LimitError as error:
            return _over_budget(error, token)
        except Exception:  # noqa: BLE001  # the last resort: the process lives, the caller learns nothing
            decision = Decision(scope["method"]) if token is None else Decision.of(token)
            _log.exception("a request failed", **decision.recorded(500))
            return refusal(
                500,
                INTERNAL_ERROR,
                "Internal error; it was logged. Retry once; if it fails again, tell your administrator.",
                decision,
            )

    async def _paced(self, outcome: Outcome, scope: Scope, receive: Receive) -> Outcome:
        """Return a refusal of somebody over their budget when it is time for it."""
        distrust(scope)
        decision = outcome.decision
        leaves = self.refusals.wait((decision.issuer, decision.subject), lambda: departed(receive, self._maximum_bytes))
        return outcome if await leaves else replace(outcome, headers=(*outcome.headers, *encoded(_CLOSE)))

    async def _verified(self, headers: _Headers, asked: str | None) -> AccessToken | Outcome:
        credentials = credentials_of(headers)
        if credentials is None:
            return self._unauthorized(TokenRefusedError("no bearer token"), None, asked)
        try:
            return await self._verifier.verify(credentials.token, asked, credentials.proof)
        except TokenRefusedError as error:
            return self._unauthorized(error, error.code, asked)
        except IssuerUnavailableError as error:
            decision = Decision("POST", issuer=error.issuer, refused=str(error))
            return refusal(503, UNAVAILABLE, str(error), decision, ("retry-after", str(error.retry_after_s)))
        except TokenTooLongError as error:
            # RFC 6585 section 5. A 401 would have the client sign in again, for ever.
            return refusal(431, UNAUTHORIZED, str(error), Decision("POST", refused=str(error)))

    def _unauthorized(self, error: TokenRefusedError, code: str | None, asked: str | None) -> Outcome:
        # RFC 6750 section 3.1: without a token, the challenge names no error.
        challenge = self._metadata.challenge(code, self._metadata.scopes, asked)
        decision = Decision("POST", error.issuer, refused=error.reason, cause=error.detail)
        return refusal(401, UNAUTHORIZED, str(error), decision, ("www-authenticate", challenge))

    def _unreadable(self, headers: _Headers, token: AccessToken) -> Outcome | None:
        """Judge by its headers whether the body can be read at all."""
        if headers.get(b"content-type") != b"application/json" and not _is_json(headers):
            return _unread(415, "The body must be application/json in UTF-8.", token)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return _unread(415, "A compressed body is not accepted; send it uncompressed.", token)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > _LENGTH_DIGITS or int(length) > self._maximum_bytes:
            return self._too_large(token)
        return None

    def _judged(self, body: bytes | None, token: AccessToken) -> bytes | Outcome | None:
        """Return a body that is there already, within its bounds."""
        if body is None:
            return None
        return self._too_large(token) if len(body) > self._maximum_bytes else _in_bounds(body, token)

    async def _body(self, receive: Receive, token: AccessToken) -> bytes | Outcome:
        """Read the whole body, bounded in size and time, and in what parsing it costs."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _unread(400, "The client left.", token)
                    body += message.get("body", b"")
                    if len(body) > self._maximum_bytes:
                        return self._too_large(token)
                    if not message.get("more_body", False):
                        return _in_bounds(bytes(body), token)
        except TimeoutError:
            return _unread(408, "The body did not arrive in time; send it again.", token)

    def _too_large(self, token: AccessToken) -> Outcome:
        return _unread(413, f"The body has over {self._maximum_bytes} bytes; send fewer.", token)


def _is_json(headers: _Headers) -> bool:
    kind, parameters = parse_options_header(headers.get(b"content-type"))
    return kind == b"application/json" and parameters.get(b"charset", b"utf-8").lower() == b"utf-8"


def _over_budget(error: LimitError, token: AccessToken | None) -> Outcome:
    known: dict[str, Any] = {"outcome": type(error).__name__, "refused": str(error)}
    decision = Decision("POST", **known) if token is None else Decision.of(token, **known)
    return refusal(429, LIMITED, str(error), decision, ("retry-after", str(error.retry_after_s)))


def _in_bounds(body: bytes, token: AccessToken) -> bytes | Outcome:
    why = out_of_bounds(body)
    return body if why is None else refusal(400, INVALID_REQUEST, why, Decision.of(token, refused=why))


def _unread(status: int, message: str, token: AccessToken) -> Outcome:
    """Refuse a request whose body was not read, and close its connection: the rest of the body may still come."""
    return refusal(status, INVALID_REQUEST, message, Decision.of(token, refused=message), _CLOSE)
