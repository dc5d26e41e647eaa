"""What is judged before a token: the path, exact hosts and origins, headers that may be sent once, the method."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from mcp_types import INVALID_REQUEST
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope

from server.auth.metadata import ResourceMetadata
from server.catalog.arguments import quoted
from server.http.outcome import Decision, Headers, Outcome, refusal
from server.settings import Settings

# If one of these came twice, a proxy and this server could each believe another value.
_SINGLE: Final = frozenset(
    {b"host", b"origin", b"authorization", b"dpop", b"content-type", b"content-encoding", b"content-length"}
)
_READ: Final = (
    b"authorization, dpop, content-type, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id, "
    b"traceparent, tracestate"
)
_PREFLIGHT: Final[Headers] = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", _READ),
    (b"access-control-max-age", b"600"),
)


class _Anything(Convertor[str]):
    """The rest of a path, line breaks included: what is no tenant id is refused by the tenancy, not by a 404."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())


def with_tenants(path: str) -> tuple[str, str]:
    """Return the routes of `path` and of what stands there for each tenant."""
    return path, path.rstrip("/") + "/t/{tenant:anything}"


def endpoint_paths(resource_url: str) -> tuple[str, str]:
    """Return the routes of the endpoint: the path of `resource_url`, and the address of each tenant."""
    return with_tenants(unquote(urlsplit(resource_url).path) or "/")


def tenant_asked(scope: Scope) -> str | None:
    """Return the tenant of the address as the caller wrote it, None at the address for all."""
    return scope.get("path_params", {}).get("tenant")


class Address:
    """Refuses what is not addressed to this server, and answers browsers (CORS, Fetch standard, section 3.3)."""

    def __init__(self, settings: Settings, metadata: ResourceMetadata) -> None:
        """Prepare the names that are answered; without an origin listed, no browser may call."""
        self._default_port: Final = b"443" if settings.resource_url.lower().startswith("https:") else b"80"
        self._hosts: Final = frozenset(self._plain(host.encode()) for host in settings.hosts)
        self._metadata: Final = metadata
        self._origins: Final[Mapping[bytes | None, Headers]] = {
            None: (),
            **{
                origin.encode(): (
                    (b"access-control-allow-origin", origin.encode()),
                    (b"access-control-expose-headers", b"www-authenticate, retry-after"),
                    (b"vary", b"origin"),
                )
                for origin in settings.allowed_origins
            },
        }

    def readable_by(self, origin: bytes | None) -> Headers:
        """Return the headers that let the page of a listed origin read an answer."""
        return self._origins.get(origin, ())

    def judge(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Outcome | None:
        """Return the answer to a request that needs no token to be answered, None for one that does."""
        method, origin = scope["method"], headers.get(b"origin")
        if len(headers) != len(scope["headers"]) and _repeats(scope):
            challenge = self._metadata.challenge("invalid_request", self._metadata.scopes, tenant_asked(scope))
            return _refused(
                400,
                "A header that may be sent only once was sent twice; send it once.",
                method,
                www_authenticate=challenge,
            )
        host = headers.get(b"host", b"")
        if self._plain(host) not in self._hosts:
            message = "This server does not answer to that host name; list it in allowed_hosts."
            return _refused(421, message, method, cause=f"Host {quoted(host.decode('latin-1'))}")
        if origin not in self._origins:
            return _refused(403, "This origin is not allowed; list it in allowed_origins.", method)
        if origin is not None and method == "OPTIONS" and b"access-control-request-method" in headers:
            return Outcome(204, b"", _PREFLIGHT, Decision(method))
        if method != "POST":
            return _refused(405, "Only POST is accepted here; send a POST request.", method, allow="POST")
        return None

    def _plain(self, host: bytes) -> bytes:
        """Return a host as it is compared: in lower case, without the port that its scheme implies, or an empty one."""
        host = host.lower()
        name, _, port = host.rpartition(b":")
        # An address of IPv6 has colons of its own, in brackets.
        is_name = name and (b":" not in name or name.endswith(b"]"))
        return name if is_name and port in {b"", self._default_port} else host


def _refused(status: int, message: str, method: str, cause: str | None = None, **headers: str) -> Outcome:
    added = ((name.replace("_", "-"), value) for name, value in headers.items())
    return refusal(status, INVALID_REQUEST, message, Decision(method, refused=message, cause=cause), *added)


def _repeats(scope: Scope) -> bool:
    names = [name for name, _ in scope["headers"] if name in _SINGLE]
    return len(names) != len(set(names))
