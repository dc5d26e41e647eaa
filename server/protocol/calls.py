"""One tool call: the tool, the scope, the tenant and its budget, the arguments, the tool's answer, the Outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import structlog
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, SERVER_INFO_META_KEY, Implementation
from pydantic_core import to_json

from server.audit.evidence import ArgumentDigests, Evidence, digest_of
from server.auth.access_token import AccessToken
from server.auth.metadata import ResourceMetadata
from server.catalog.arguments import listed, quoted
from server.catalog.parts import Parts
from server.catalog.tool import Tool
from server.errors import ArgumentsError, ForbiddenError, LimitError, ScopeMissingError, TenancyError, ToolError
from server.http.outcome import FORBIDDEN, JSON, LIMITED, Decision, Headers, Outcome, VerifiedRequest
from server.settings import Settings
from server.tenancy.context import Tenancy, TenantContext

SERVER: Final = Implementation(name="tenantgate", title="tenantgate", version=version("tenantgate"))
_STAMP: Final = to_json({SERVER_INFO_META_KEY: SERVER.model_dump(mode="json", by_alias=True, exclude_none=True)})
# How a result ends in the protocol since 2026-07-28.
_MODERN_END: Final = b',"resultType":"complete","_meta":' + _STAMP + b"}}"
# In both eras; for the protocol's own codes, the later one has a table.
_STATUS: Final = {FORBIDDEN: 403, LIMITED: 429}
# As JSON; besides, an answer has an id of 1.5 KB at most, and its own form.
_MESSAGE_BYTES: Final = 2_400
_METHOD: Final = "tools/call"
NO_OBJECT: Final = (
    'arguments must be an object, such as {"limit": 5}, not a list and not a text that contains JSON; nothing was read.'
)
_log: Final = structlog.get_logger("protocol")


@dataclass(frozen=True, slots=True)
class Call:
    """A tools/call, with the id of its JSON-RPC request and the era whose answer it expects.

    `arguments` is None when what was sent is not an object.
    """

    id: int | str
    name: str
    arguments: dict[str, Any] | None
    modern: bool


class ToolCalls:
    """The table of tools."""

    def __init__(
        self,
        tools: Sequence[Tool],
        settings: Settings,
        tenancy: Tenancy,
        parts: Parts,
        metadata: ResourceMetadata,
    ) -> None:
        """Call `tools`, each with what `parts` has for one tenant."""
        self._tools: Final = {tool.name: tool for tool in tools}
        self._issuers: Final = {issuer.issuer: issuer for issuer in settings.issuers}
        self._tenancy: Final = tenancy
        self._parts: Final = parts
        self._metadata: Final = metadata
        self._digests: Final = ArgumentDigests(settings.database.signing_keys())

    async def __call__(self, call: Call, request: VerifiedRequest) -> Outcome:
        """Return what the call came to; what a tool does not foresee is logged and answered without its text."""
        tool = self._tools.get(call.name)
        if tool is None or call.arguments is None:
            mistake = self._unknown(call.name) if tool is None else NO_OBJECT
            return _error(call, INVALID_PARAMS, mistake, request.decision(outcome="InvalidParams", mcp_method=_METHOD))
        context: TenantContext | None = None
        evidence = Evidence()

        def decision(came_to: str | Exception, text: bytes = b"") -> Decision:
            recorded = partial(self._evidence, tool, call, evidence, text)
            return _decision(request, tool, context, came_to, recorded)

        with request.cancellation:
            try:
                self._require_scope(tool, request.token)
                context = await self._tenancy.resolve(request.token, request.asked, required=tool.needs_tenant)
                await self._parts.limits.charge(context.tenant)
                access = self._parts.for_tenant(context, evidence, request.scope.get("request_id", ""))
                text = await tool.answer(call.arguments, access)
                return _result(call, text, decision("answered", text))
            except ToolError as error:
                if context is not None and isinstance(error, ArgumentsError):
                    await self._parts.limits.refund(context.tenant)
                return _failure(call, str(error), decision(error))
            except (ForbiddenError, LimitError) as error:
                return self._refusal(call, error, request, decision(error))
            except Exception as error:  # noqa: BLE001  # a defect of ours: its text is for the operator alone
                _log.exception("a tool failed", tool=tool.name)
                message = "Internal error; it was logged. Retry once; if it fails again, tell your administrator."
                return _error(call, INTERNAL_ERROR, message, decision(error))
        message = "The client left before the answer was ready."
        return _error(call, INTERNAL_ERROR, message, decision("cancelled"))

    def _evidence(self, tool: Tool, call: Call, evidence: Evidence, text: bytes) -> dict[str, Any]:
        """Return what the audit record has of a call and of the answer `text`, if there is one."""
        asked = {"definition": tool.definition, "arguments": self._digests.of(call.arguments or {})}
        result = {"result": digest_of(text)} if text else {}
        return asked | evidence.fields() | result

    def _require_scope(self, tool: Tool, token: AccessToken) -> None:
        if tool.scope is not None and tool.scope not in token.scopes:
            issuer = self._issuers[token.issuer]
            # What every token of this issuer has anyway is not asked for.
            held = (issuer.names_of(one)[0] for one in sorted(token.scopes.difference(issuer.scopes_granted)))
            raise ScopeMissingError(issuer.names_of(tool.scope)[0], tuple(dict.fromkeys(held)))

    def _unknown(self, name: str) -> str:
        return f"Unknown tool {quoted(name)}. Use one of: {listed(self._tools)}."

    def _refusal(
        self, call: Call, error: ForbiddenError | LimitError, request: VerifiedRequest, decision: Decision
    ) -> Outcome:
        """Return the 403 or 429 that a client shows; a missing scope leads to a step-up (RFC 6750 section 3.1)."""
        if isinstance(error, LimitError):
            return _error(call, LIMITED, str(error), decision, ((b"retry-after", str(error.retry_after_s).encode()),))
        if isinstance(error, ScopeMissingError):
            challenge = self._metadata.challenge("insufficient_scope", error.scopes, request.asked)
            return _error(call, FORBIDDEN, str(error), decision, ((b"www-authenticate", challenge.encode()),))
        return _error(call, FORBIDDEN, str(error), decision)


def _decision(
    request: VerifiedRequest,
    tool: Tool,
    context: TenantContext | None,
    came_to: str | Exception,
    evidence: Callable[[], dict[str, Any]],
) -> Decision:
    known: dict[str, Any] = {"tenant": context.tenant, "tier": context.tier} if context else {}
    if isinstance(came_to, Exception):
        cause = came_to.__cause__
        known |= {"refused": _reason(came_to), "cause": repr(cause) if cause else None}
        came_to = type(came_to).__name__
    return Decision.of(request.token, tool=tool.name, outcome=came_to, mcp_method=_METHOD, evidence=evidence, **known)


def _reason(error: Exception) -> str | None:
    """Return why a caller was refused, as the log may know it."""
    if isinstance(error, TenancyError):
        return error.reason
    return str(error) if isinstance(error, ForbiddenError | LimitError) else None


def _result(call: Call, text: bytes, decision: Decision) -> Outcome:
    """Return a result: the JSON `text`, once as a text for the model and once as structured content."""
    structured = b'}],"structuredContent":' + text + b',"isError":false'
    return Outcome(200, _begin(call) + to_json(text) + structured + _end(call), JSON, decision)


def _failure(call: Call, message: str, decision: Decision) -> Outcome:
    """Return a result that is a sentence for the model."""
    text = to_json(_short(message))
    return Outcome(200, _begin(call) + text + b'}],"isError":true' + _end(call), JSON, decision)


def _begin(call: Call) -> bytes:
    return b'{"jsonrpc":"2.0","id":' + to_json(call.id) + b',"result":{"content":[{"type":"text","text":'


def _end(call: Call) -> bytes:
    return _MODERN_END if call.modern else b"}}"


def _short(message: str) -> str:
    """Return an error's sentence, cut where its answer would be longer than 4 KiB."""
    if len(to_json(message)) <= _MESSAGE_BYTES:
        return message
    return message.encode()[: _MESSAGE_BYTES // 2].decode(errors="ignore") + "…"


def _error(call: Call, code: int, message: str, decision: Decision, headers: Headers = ()) -> Outcome:
    """Return a JSON-RPC error, with the HTTP status that belongs to its code."""
    body = {"jsonrpc": "2.0", "id": call.id, "error": {"code": code, "message": _short(message)}}
    status = _STATUS.get(code) or (ERROR_CODE_HTTP_STATUS.get(code, 200) if call.modern else 200)
    return Outcome(status, to_json(body), (*JSON, *headers), decision)
