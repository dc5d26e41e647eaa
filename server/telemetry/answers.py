"""The result of an answer, in the few words that metrics and spans may have."""

import re
from collections.abc import Mapping
from typing import Final

from server.http.outcome import Outcome
from server.telemetry import names

# The code of a JSON-RPC error, if the answer is one. A text inside cannot match, because its quotes are escaped.
_ERROR: Final = re.compile(rb'\{"jsonrpc":"2\.0","id":(?:"(?:[^"\\]|\\.)*"|-?[0-9]+|null),"error":\{"code":(-?[0-9]+)')
_ANSWERED: Final = "answered"
_BY_STATUS: Final = {
    401: "token",
    403: "origin",
    429: "limit",
    431: "token_too_long",
    500: "defect",
    503: "issuer_unavailable",
}
_BY_OUTCOME: Final = {
    "ArgumentsError": "arguments",
    "InvalidParams": "arguments",
    "RefusedError": "refused",
    "WithheldError": "withheld",
    "MisconfiguredError": "misconfigured",
    "UnavailableError": "unavailable",
    "ScopeMissingError": "scope",
    "TenancyError": "tenant",
    "cancelled": "cancelled",
}
_REQUEST: Final = "request"
_NO_TOKEN: Final = "no_token"  # noqa: S105  # a reason
_PERSON, _TENANT = "limit_person", "limit_tenant"
UNRECORDED: Final = "unrecorded"
# The reasons by which refusals are counted; docs/telemetry.md explains each.
REASONS: Final = frozenset(
    {*_BY_STATUS.values(), *_BY_OUTCOME.values(), _REQUEST, _NO_TOKEN, _PERSON, _TENANT, UNRECORDED}
)


def reason_of(outcome: Outcome) -> str | None:
    """Return why a request was not answered as requested; None for one that was."""
    decision, status = outcome.decision, outcome.status
    if decision.outcome == _ANSWERED:
        return None
    if decision.outcome == "LimitError":
        return _PERSON if "person" in (decision.refused or "") else _TENANT
    if decision.outcome is not None:
        return _BY_OUTCOME.get(decision.outcome, "defect")
    if status < 400:
        return None
    if status == 401 and decision.refused == "no bearer token":
        return _NO_TOKEN
    return _BY_STATUS.get(status, _REQUEST)


def failure_of(outcome: Outcome) -> dict[str, str | int]:
    """Return `error.type`, and the code if the answer is a JSON-RPC error; nothing for success."""
    if outcome.decision.outcome == _ANSWERED:
        return {}
    found = _ERROR.match(outcome.body)
    if found is not None:
        code = found[1].decode()
        return {names.ERROR_TYPE: code, names.RPC_STATUS: code}
    if outcome.decision.outcome is not None:
        return {names.ERROR_TYPE: names.TOOL_ERROR}
    return {names.ERROR_TYPE: str(outcome.status)} if outcome.status >= 400 else {}


def shown_id(message_id: object) -> dict[str, str | int]:
    """Return the id of a request if it is a number, which can hold no text."""
    is_number = isinstance(message_id, int) and not isinstance(message_id, bool)
    return {names.JSONRPC_ID: str(message_id)} if is_number else {}


def version_of(headers: Mapping[bytes, bytes], known: frozenset[str]) -> dict[str, str | int]:
    """Return the protocol's version, if it is a known one."""
    version = headers.get(b"mcp-protocol-version", b"").decode("latin-1")
    return {names.MCP_VERSION: version} if version in known else {}
