"""Whether a signed token is an access token, and not an ID token or another token of the same issuer."""

from collections.abc import Mapping
from typing import Any, Final

from server.errors import TokenRefusedError
from server.settings import IssuerSettings

# Claims that only ID tokens carry (OpenID Connect Core 1.0 section 3.3.2.11), and claims of which an access token
# has at least one: what it grants, or to which client.
_ID_TOKEN_CLAIMS: Final = frozenset({"at_hash", "c_hash"})
_ACCESS_TOKEN_CLAIMS: Final = frozenset({"scope", "scp", "client_id", "cid", "roles", "permissions"})
# Keycloak's claim `typ`, in lower case: of its access tokens, and of its other tokens.
_ACCESS_TYPES: Final = frozenset({"bearer", "dpop"})
_OTHER_TYPES: Final = frozenset({"id", "refresh", "offline", "logout"})


def check_kind(kind: str | None, claims: Mapping[str, Any], issuer: IssuerSettings) -> None:
    """Raise TokenRefusedError for ID tokens and for types that the issuer's settings do not allow.

    `kind` is the type in the header. `required_claims` of the settings, when met, also show an access token.
    """
    if issuer.token_type is not None and kind != issuer.token_type.lower().removeprefix("application/"):
        raise TokenRefusedError("typ is not the token_type of the issuer's settings")
    if issuer.token_use is not None and claims.get("token_use") != issuer.token_use:
        raise TokenRefusedError("token_use is not that of the issuer's settings")
    if not all(_is(claims.get(name), value) for name, value in issuer.required_claims.items()):
        raise TokenRefusedError("a claim does not match required_claims")
    named = str(claims.get("typ")).lower()
    if _ID_TOKEN_CLAIMS & claims.keys() or claims.get("token_use") == "id" or named in _OTHER_TYPES:
        raise TokenRefusedError("an ID token is not an access token")
    grants = bool(_ACCESS_TOKEN_CLAIMS & claims.keys())
    # Keycloak up to version 24 copies `nonce` into access tokens; no other issuer does.
    if "nonce" in claims and not (named in _ACCESS_TYPES and grants):
        raise TokenRefusedError("an ID token is not an access token")
    if not grants and kind != "at+jwt" and named not in _ACCESS_TYPES and not issuer.required_claims:
        raise TokenRefusedError("nothing shows that this is an access token")


def _is(value: Any, required: object) -> bool:
    # `1 == True` in Python, but not in JSON.
    return type(value) is type(required) and value == required
