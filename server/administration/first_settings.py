"""The settings file that `tenantgate init` writes, and what an issuer's discovery document adds to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from server.errors import SettingsError, UnreachableError
from server.settings import Algorithm, is_https_or_loopback

_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 131_072
_MOST_LISTED: Final = 12

NEXT_STEPS: Final = """
Next, with an existing database (docs/your-own-database.md):
  export TENANTGATE_DATABASE__ADMIN_URL=postgresql://ADMINISTRATOR:PASSWORD@HOST/DATABASE
  tenantgate adopt --config {config} --tenant-column COLUMN --output adopted
  tenantgate migrate --config {config}"""

_SETTINGS: Final = """\
# Settings of tenantgate; docs/settings.md explains every key. Each one can be an environment variable too:
# TENANTGATE_RESOURCE_URL, TENANTGATE_DATABASE__URL, …

# The address under which clients reach the server.
resource_url = "http://localhost:8000/mcp"

# What `tenantgate adopt --output adopted` writes. "sample" is the sample pack.
catalog = ["adopted/tools"]
migrations = ["adopted/migrations"]

[tenancy]
# How tenant ids are written: text, uuid or integer, like the tenant column of your tables.
id_type = "text"

[database]
# The server's own login, which `tenantgate migrate` creates. It only reads.
login = "app_user"
# Better as environment variables, since they hold secrets:
#   TENANTGATE_DATABASE__ADMIN_URL      for adopt, migrate, keys and tenants; not where the server runs
#   TENANTGATE_DATABASE__URL            as the login above, for doctor and serve
#   TENANTGATE_DATABASE__CONTEXT_KEYS   k1:…, as `tenantgate keys add` prints it
# or in files: TENANTGATE_DATABASE__URL_FILE=/run/secrets/url, … Once this file holds a secret, it must be readable
# by its owner alone (chmod 600).
"""
_NO_ISSUER: Final = """
# Whose tokens are accepted; `serve` needs it. `tenantgate init --issuer URL` fills it in.
# [[issuers]]
# issuer = "https://login.example.com"
# audiences = ["http://localhost:8000/mcp"]
"""
_ISSUER: Final = """
# Whose tokens are accepted, as its discovery document says.
[[issuers]]
issuer = {issuer}
jwks_url = {jwks_url}
algorithms = {algorithms}
# The `aud` of its access tokens. Change it, or name `client_ids` where its tokens have none (Cognito).
audiences = ["http://localhost:8000/mcp"]
# The claim that names the tenant: a path with dots.
tenant_claims = ["tenant_id"]
"""


@dataclass(frozen=True, slots=True)
class Discovered:
    """The parts of an issuer's discovery document that the settings need."""

    issuer: str
    jwks_url: str
    algorithms: tuple[str, ...]
    scopes: tuple[str, ...]
    claims: tuple[str, ...]


def settings_text(issuer: Discovered | None) -> str:
    """Return the text of a settings file that is valid without changes."""
    if issuer is None:
        return _SETTINGS + _NO_ISSUER
    text = _ISSUER.format(
        issuer=json.dumps(issuer.issuer), jwks_url=json.dumps(issuer.jwks_url), algorithms=json.dumps(issuer.algorithms)
    )
    for what, names in (("claims", issuer.claims), ("scopes", issuer.scopes)):
        if names:
            text += f"# It knows the {what} {', '.join(names[:_MOST_LISTED])}{', …' if names[_MOST_LISTED:] else ''}.\n"
    return _SETTINGS + text


def discover(issuer: str) -> Discovered:
    """Fetch and return the discovery document of an issuer (OpenID Connect Discovery 1.0, section 4).

    Raises SettingsError for a URL or a document that cannot be used, UnreachableError when there is no answer.
    """
    import httpx2

    if not is_https_or_loopback(issuer):
        raise SettingsError("--issuer must be an absolute https URL; plain http is accepted on loopback only")
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        answer = httpx2.get(url, timeout=_TIMEOUT_S, follow_redirects=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnreachableError(
            f"{url} does not answer ({type(error).__name__}); correct --issuer, or check the network"
        ) from error
    if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
        raise SettingsError(f"{url} answered with HTTP status {answer.status_code}; correct --issuer")
    try:
        document: Any = answer.json()
    except ValueError as error:
        raise SettingsError(f"the answer of {url} is not JSON; correct --issuer") from error
    return _read(issuer, cast("dict[str, Any]", document) if isinstance(document, dict) else {})


def _read(issuer: str, document: Mapping[str, Any]) -> Discovered:
    named, address = document.get("issuer"), document.get("jwks_uri")
    if named not in {issuer, issuer.rstrip("/"), f"{issuer}/"}:
        raise SettingsError(f"the discovery document names the issuer {_printable(str(named))}; pass that as --issuer")
    if not isinstance(address, str) or not is_https_or_loopback(address):
        raise SettingsError("the discovery document has no jwks_uri with https; correct --issuer")
    offered = _texts(document, "id_token_signing_alg_values_supported")
    algorithms = tuple(one for one in offered if one in get_args(Algorithm)) or ("RS256",)
    return Discovered(
        str(named), address, algorithms, _texts(document, "scopes_supported"), _texts(document, "claims_supported")
    )


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of short printable texts: they come from the issuer and are written into a file."""
    values = document.get(key)
    listed = cast("list[Any]", values) if isinstance(values, list) else []
    return tuple(_printable(one) for one in listed if isinstance(one, str) and len(one) <= 100)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
