"""Scopes: those that a token grants, those that clients may request, and a check for unknown names."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from server.auth.access_token import is_client
from server.errors import SettingsError
from server.settings import IssuerSettings, Settings


def granted_scopes(claims: Mapping[str, Any], issuer: IssuerSettings, known: Sequence[str]) -> frozenset[str]:
    """Return our scopes that a token grants under the issuer's names.

    They are in `scope` (RFC 8693) or `scp` (Entra ID, Okta); Entra ID grants `roles` to a client that acts for itself.
    """
    granted: set[str] = set()
    for name in ("scope", "scp", "roles") if is_client(claims) else ("scope", "scp"):
        value: Any = claims.get(name, ())
        words: Any = value.split(" ") if isinstance(value, str) else value
        if isinstance(words, list):
            granted |= {word for word in cast("list[Any]", words) if isinstance(word, str)}
    held = {ours for ours in known if granted.intersection(issuer.names_of(ours))}
    return frozenset({*held, *issuer.scopes_granted})


def requestable_scopes(settings: Settings, scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the names under which a client can request `scopes`; none when the issuers use different names.

    A client requests every scope that it reads here from one issuer, and an issuer refuses a request with an unknown
    name. Scopes that every token of an issuer has anyway are left out.
    """
    named = [
        tuple(dict.fromkeys(issuer.names_of(scope)[0] for scope in scopes if scope not in issuer.scopes_granted))
        for issuer in settings.issuers
    ]
    return named[0] if named and all(set(names) == set(named[0]) for names in named) else ()


def check_scopes(settings: Settings, scopes: Sequence[str]) -> None:
    """Raise SettingsError when an issuer's scope_map or scopes_granted names a scope that is not in `scopes`."""
    known = ", ".join(sorted(scopes)) or "none"
    for issuer in settings.issuers:
        for key, named in (("scope_map", tuple(issuer.scope_map)), ("scopes_granted", issuer.scopes_granted)):
            if unknown := sorted(set(named) - set(scopes)):
                raise SettingsError(
                    f"issuers: {key} of {issuer.issuer} names the scope {unknown[0]}, which no tool requires; correct "
                    f"or remove it (the scopes of the tools: {known})"
                )
