"""A verified access token, as the rest of the server sees it: claims, never the token's text."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from server.errors import TenancyError

# What claim_at returns for a missing claim; a claim that is present and null is a value.
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The content of a verified token; a person is the pair (issuer, subject), never only the subject.

    `claims` are those that the issuer's settings read. `is_client`: a machine acts for itself, without a person.
    `bound_to` is the thumbprint of the key that the sender must prove to hold (RFC 9449). `token_id` is the digest of
    the token's own id (`jti`), for the audit trail.
    """

    issuer: str
    subject: str
    client_id: str | None
    scopes: frozenset[str]
    expires_at: int
    claims: Mapping[str, Any]
    is_client: bool = False
    bound_to: str | None = None
    token_id: str | None = None


def token_id_of(claims: Mapping[str, Any]) -> str | None:
    """Return the first half of the SHA-256 of `jti` (Entra ID: `uti`), in hexadecimal; None without one."""
    found = next((value for name in ("jti", "uti") if isinstance(value := claims.get(name), str)), None)
    return None if found is None else hashlib.sha256(found.encode("utf-8", "replace")).hexdigest()[:32]


def client_of(claims: Mapping[str, Any]) -> str | None:
    """Return the client: `client_id` (RFC 9068), `azp` (OpenID Connect), `appid` (Entra ID 1.0) or `cid` (Okta)."""
    names = ("client_id", "azp", "appid", "cid")
    return next((value for name in names if isinstance(value := claims.get(name), str)), None)


def is_client(claims: Mapping[str, Any]) -> bool:
    """Whether the token was issued with client credentials; each identity provider shows it differently.

    RFC 9068 section 2.2, Cognito and Okta: `sub` is the client. Auth0: `gty`, or `@clients` after it. Entra ID:
    `idtyp`, or a service principal (`sub` is `oid`) without the delegated permissions that a person's token has.
    Keycloak: the service account's name, with the client's address, which only this grant adds.
    """
    subject, client = claims.get("sub"), client_of(claims)
    if client is not None and subject in {client, f"{client}@clients"}:
        return True
    # The name alone is not enough: a person could choose it.
    if client is not None and {"clientHost", "clientAddress"} & claims.keys():
        return claims.get("preferred_username") == f"service-account-{client}".lower()
    if claims.get("idtyp") == "app" or claims.get("gty") == "client-credentials":
        return True
    return subject is not None and subject == claims.get("oid") and "scp" not in claims


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """Return the value at a claim path: the claim of exactly this name, or one nested a level per dot; else ABSENT.

    A name in the path may contain dots itself (`https://example.com/claims.tenant`). Raises TenancyError when a token
    has the path in more than one way: where clients may add claims of any name, a client may have added one of them.
    """
    found = list(_readings(claims, path))
    if len(found) > 1:
        raise TenancyError(
            "Your access token has the same claim twice, flat and nested; ask your administrator to keep one.",
            reason="the token holds the claim in more than one way, flat and nested",
            claim=path,
        )
    return found[0] if found else ABSENT


def names_along(path: str) -> frozenset[str]:
    """Return the names of the top-level claims that `claim_at` and `is_left_out` read for `path`."""
    ends = [end for end, letter in enumerate(path) if letter == "."]
    return frozenset({path, *(path[:end] for end in ends), "_claim_names", "hasgroups"})


def is_left_out(claims: Mapping[str, Any], path: str) -> bool:
    """Whether the issuer says that it left out the claim at `path`: it was too long or is stored elsewhere.

    Entra ID does so with more than 200 groups; `_claim_names` is OpenID Connect Core 1.0 section 5.6.2.
    """
    if "_claim_names" not in claims and "hasgroups" not in claims:
        return False
    elsewhere: Any = claims.get("_claim_names")
    left_out = set(cast("Mapping[str, Any]", elsewhere)) if isinstance(elsewhere, Mapping) else set[str]()
    if claims.get("hasgroups") in (True, "true"):
        left_out.add("groups")
    return bool(left_out & names_along(path)) and claim_at(claims, path) is ABSENT


def _readings(claims: Mapping[str, Any], path: str) -> Iterator[Any]:
    """Yield a value for every way to read `path`: each dot is either part of a name or a step into a map."""
    if path in claims:
        yield claims[path]
    end = path.find(".")
    while end > 0:
        inner = claims.get(path[:end])
        if isinstance(inner, Mapping):
            yield from _readings(cast("Mapping[str, Any]", inner), path[end + 1 :])
        end = path.find(".", end + 1)
