"""The endpoint behind the gate: a plain tools/call is recognised and called, everything else goes the SDK's way."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from mcp_types import INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json

from server.http.outcome import Outcome, VerifiedRequest, refusal
from server.protocol.calls import Call, ToolCalls
from server.protocol.plain import CALL, VERSION, plain_call
from server.telemetry.parent import span_of_message
from server.telemetry.telemetry import Telemetry
from server.tenancy.context import Tenancy
from server.tenancy.limits import Limits

# An answer repeats these, and no more than so much of them.
_ID_CHARACTERS: Final = 256
_ID_BITS: Final = 64
_METHOD_CHARACTERS: Final = 128
_VERSION_CHARACTERS: Final = 32
_INPUT_RESPONSES: Final = 64


class Endpoint:
    """Answers plain calls without the SDK, which turns a result into objects and back four times.

    What is plain is judged by the SDK's own functions, and whatever they would refuse is left to `rest` to refuse. Both
    ways get what the body holds, parsed once.
    """

    def __init__(
        self,
        calls: ToolCalls,
        rest: Callable[[VerifiedRequest, Any], Awaitable[Outcome]],
        tenancy: Tenancy,
        limits: Limits,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Call tools by `calls`; charge what calls no tool to the tenant that `tenancy` finds."""
        self._telemetry: Final = telemetry
        self._calls: Final = calls
        self._rest: Final = rest
        self._tenancy: Final = tenancy
        self._limits: Final = limits

    async def __call__(self, request: VerifiedRequest) -> Outcome:
        """Return what the request came to; raises LimitError when its tenant's budget is used up."""
        try:
            message = from_json(request.body, allow_inf_nan=False)
        except ValueError:
            return _refused(request, PARSE_ERROR, "The body is not JSON; send one JSON-RPC message.")
        if long := _too_long(message, request.headers):
            return _refused(request, INVALID_REQUEST, long)
        if (parent := span_of_message(message)) is not None:
            request.scope["trace"] = parent.trace_id
        if self._telemetry is not None:
            self._telemetry.begin(request, message, parent)
        call = self.plain(request, message)
        if call is not None:
            return await self._calls(call, request)
        if not _is_call(message):
            await self._limits.charge(await self._tenancy.charged(request.token, request.asked))
        return await self._rest(request, message)

    def plain(self, request: VerifiedRequest, message: Any) -> Call | None:
        """Return the call that needs nothing of the SDK, else None."""
        return plain_call(request, message)


def _is_call(message: Any) -> bool:
    return isinstance(message, dict) and cast("dict[str, Any]", message).get("method") == CALL


def _too_long(message: Any, headers: dict[bytes, bytes]) -> str | None:
    """Return what is too long of that which is repeated or explained, as a sentence for the caller."""
    if len(headers.get(VERSION, b"")) > _VERSION_CHARACTERS:
        return f"mcp-protocol-version must have at most {_VERSION_CHARACTERS} characters."
    fields = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    if long := _too_long_a_value("id", fields.get("id"), _ID_CHARACTERS):
        return long
    if fields.get("method") != CALL and (long := _too_long_a_value("method", fields.get("method"), _METHOD_CHARACTERS)):
        return long
    params: Any = fields.get("params")
    given: Any = cast("dict[str, Any]", params).get("inputResponses") if isinstance(params, dict) else None
    if isinstance(given, dict) and len(cast("dict[str, Any]", given)) > _INPUT_RESPONSES:
        # The SDK explains each of them in every form that it could have: 10 ms for 2,000.
        return f"inputResponses must have at most {_INPUT_RESPONSES} entries."
    return None


def _too_long_a_value(name: str, value: Any, most: int) -> str | None:
    if isinstance(value, str) and len(value) > most:
        return f"{name} must have at most {most} characters."
    if isinstance(value, int) and value.bit_length() > _ID_BITS:
        return f"{name} must fit into {_ID_BITS} bits."
    return None


def _refused(request: VerifiedRequest, code: int, message: str) -> Outcome:
    return refusal(400, code, message, request.decision(refused=message))
