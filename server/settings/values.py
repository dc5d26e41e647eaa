"""Types of values that several settings share, each checked when it is read."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_WRITTEN_BY_PEOPLE: Final = frozenset({"user_metadata", "unsafe_metadata"})
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

# RFC 6749 section 3.3, scope-token. A server's scopes are those that its tools name.
SCOPE: Final = r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$"
Scope = Annotated[str, Field(pattern=SCOPE)]
# An issuer's own name for a scope: the same characters, but longer, because it may begin with a URL.
IssuerScope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,512}$")]
# Tenant ids as identity providers issue them; none of these characters ends a field of the signed context.
TENANT_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$"
# Symmetric algorithms and `none` are excluded: anyone who can verify could also sign (RFC 8725 section 3.1).
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip


def is_https_or_loopback(url: str) -> bool:
    """Whether `url` is https, or http to this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


def _url(url: str) -> str:
    if not is_https_or_loopback(url):
        raise ValueError("must be an absolute https URL; plain http is accepted on loopback only")
    parts = urlsplit(url)
    if parts.fragment or parts.query or parts.username:
        raise ValueError("must have no user, query or fragment")
    if parts.port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if not url.isascii():
        raise ValueError("must be written in ASCII: the host in its xn-- form, the path percent-encoded")
    return url


def _claim_path(path: str) -> str:
    # `.*` is the end of the path, or is between two plain paths.
    first, keys, rest = path.partition(".*")
    parts = [first, *([rest.removeprefix(".")] if rest else [])]
    wrong = not all(part and "*" not in (part[0], part[-1]) and ".*" not in part for part in parts)
    if wrong or (keys and rest and rest[0] != "."):
        raise ValueError(f'"{path}" must be a claim path: `a.b`, `a.*` for the keys of a map, `a.*.b` for b of each')
    # The names under which Supabase, Auth0 and Clerk store what people write about themselves.
    if first.split(".")[0] in _WRITTEN_BY_PEOPLE:
        raise ValueError(f'"{path}" can be changed by the person; use a claim that only an administrator sets')
    return path


def plain_claim_path(path: str) -> str:
    """Return a claim path to a name or a list of names; raise ValueError for any other."""
    if ".*" in _claim_path(path):
        raise ValueError(f'"{path}" must lead to a name or a list of names, not to the keys of a map')
    return path


Url = Annotated[str, AfterValidator(_url)]
ClaimPath = Annotated[str, AfterValidator(_claim_path)]
Tier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Section(BaseModel):
    """A section of the settings: frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
