"""A request that was let in, and what it came to: the answer that leaves and the decision that is recorded before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic_core import to_json
from starlette.types import Scope

from server.auth.access_token import AccessToken
from server.http.cancellation import Cancellation

# Codes of our own JSON-RPC errors, beside those of the protocol.
UNAUTHORIZED: Final = -32001
FORBIDDEN: Final = -32003
LIMITED: Final = -32004
UNAVAILABLE: Final = -32005

Headers = tuple[tuple[bytes, bytes], ...]
JSON: Final[Headers] = ((b"content-type", b"application/json"),)


class Decision(NamedTuple):
    """What was decided about one request: the fields of its log line and its audit record, described here alone.

    Both also have `status`, the HTTP status of the answer, `request`, the id of the request, `address`, where it came
    from, and `ms`. An unknown field is left out.
    """

    method: str
    """The HTTP method."""
    issuer: str | None = None
    """Who asked, as the verified token says: the identity provider, the person (or client) there, and the client."""
    subject: str | None = None
    client: str | None = None
    tenant: str | None = None
    """For whom: the tenant and the tier that the token led to."""
    tier: str | None = None
    tool: str | None = None
    """The tool that was called; only a tool that exists is named."""
    outcome: str | None = None
    """What a tool call came to: `answered`, `cancelled` (the client left), or the name of the error."""
    refused: str | None = None
    """Why the request was refused."""
    cause: str | None = None
    """What only the operator may know about it; in the log line alone."""
    mcp_method: str | None = None
    """The method of the protocol; only one that exists is named."""
    token_id: str | None = None
    """In the audit record alone: the digest of the token's `jti`, and the scopes that it grants here."""
    scopes: str | None = None
    evidence: Callable[[], Mapping[str, Any]] | None = None
    """In the audit record alone: what a call asked for and read; its fields are listed in docs/audit.md.

    Digests are made when a record is.
    """

    @classmethod
    def of(cls, token: AccessToken, **known: Any) -> "Decision":
        """Return what was decided about a POST with a verified token, with what is known beside its caller."""
        scopes = _listed(token.scopes)
        return cls(
            "POST", token.issuer, token.subject, token.client_id, token_id=token.token_id, scopes=scopes, **known
        )

    def recorded(self, status: int) -> dict[str, Any]:
        """Return the fields that the log line and the audit record share."""
        known = zip(_SHARED, self, strict=False)
        found: dict[str, Any] = {name: value for name, value in known if name is not None and value is not None}
        found["status"] = status
        return found

    def recorded_alone(self) -> dict[str, Any]:
        """Return the fields that only the audit record has."""
        found: dict[str, Any] = {"token_id": self.token_id} if self.token_id else {}
        if self.scopes:
            found["scopes"] = self.scopes
        return {**found, **(self.evidence() if self.evidence else {})}


_IN_ONE: Final = frozenset({"cause", "token_id", "scopes", "evidence"})
# The names of the fields in their order, None for those that only one of the two has.
_SHARED: Final = tuple(None if name in _IN_ONE else name for name in Decision._fields)


@lru_cache(1024)
def _listed(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole answer and its decision; the answer's length is added when it is sent."""

    status: int
    body: bytes
    headers: Headers
    decision: Decision

    @property
    def is_authenticated(self) -> bool:
        """Whether a signature was verified: of a token that is good, or that was refused for what it says."""
        decision = self.decision
        # An issuer whose keys cannot be had is named by a token that may be anybody's.
        return decision.subject is not None or (decision.issuer is not None and self.status != 503)


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A POST with a verified token and its whole body.

    `asked` is the tenant of the address as the caller wrote it, None at the address for all. `cancellation` is
    cancelled when the client leaves.
    """

    scope: Scope
    headers: dict[bytes, bytes]
    body: bytes
    token: AccessToken
    asked: str | None
    cancellation: Cancellation = field(default_factory=Cancellation)

    def decision(self, **known: Any) -> Decision:
        """Return what was decided about this request, with what is known beside its caller."""
        return Decision.of(self.token, **known)


def refusal(status: int, code: int, message: str, decision: Decision, *headers: tuple[str, str]) -> Outcome:
    """Return a JSON-RPC error of no particular request, so that a client can show the reason."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Outcome(status, to_json(body), (*JSON, *encoded(*headers)), decision)


def encoded(*headers: tuple[str, str]) -> Headers:
    """Return headers as an Outcome has them."""
    return tuple((name.encode(), value.encode()) for name, value in headers)
