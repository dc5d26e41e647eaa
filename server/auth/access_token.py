"""A verified access token, as the rest of the server sees it: claims, never the token's text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says; a person is the pair (issuer, subject), never the subject alone."""

    issuer: str
    subject: str
    client_id: str | None
    scopes: frozenset[str]
    expires_at: int
    claims: Mapping[str, Any]

    @property
    def is_client(self) -> bool:
        """Whether a machine acts for itself: with client credentials, `sub` is the client (RFC 9068 section 2.2)."""
        return self.client_id is not None and self.subject == self.client_id


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of exactly this name, else the value along the dotted path, else None."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = cast("Mapping[str, Any]", value)[part]
    return value
