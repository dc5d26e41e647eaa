"""A second real server beside the development stack: three faulty issuers, bound to 0.0.0.0, a counted database."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
import psycopg
import pytest
from pydantic import SecretStr

from server.app import create_app
from server.dev.stack import Stack
from server.doctor import proof
from server.http.serving import listen
from server.settings import IssuerSettings
from support.issuer import Issuer, private_key, public_jwk
from support.listening import listening

RESOURCE = "https://mcp.example.com/mcp"
METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
ORIGIN = "https://app.example.com"
ACCEPT = "application/json, text/event-stream"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
BODY = json.dumps(CALL).encode()
MODERN = "2026-07-28"
MODERN_META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Served:
    """The server's address, its issuers, and what its database connections carried."""

    port: int
    http: httpx2.Client
    strict: Issuer
    cognito: Issuer
    plain: Issuer
    database: "Relay"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def fetches(self) -> int:
        return sum(len(issuer.fetched) for issuer in (self.strict, self.cognito, self.plain))

    def post(
        self,
        token: str | None,
        name: str = "whoami",
        *,
        method: str = "tools/call",
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> httpx2.Response:
        """Call a tool in a handshake version, or send another method."""
        params = {"name": name, "arguments": arguments} if params is None else params
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.send(token, json.dumps(body).encode(), headers=headers)

    def send(self, token: str | None, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        sent = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": "2025-11-25"}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return self.http.post(self.url, content=body, headers=sent | (headers or {}))

    def modern(self, token: str | None, body: dict[str, Any], headers: dict[str, str | None]) -> httpx2.Response:
        """Send a 2026-07-28 call of whoami, but for what is given; None removes a header."""
        given = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "whoami", **headers}
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "whoami", "arguments": {}, "_meta": MODERN_META},
        } | body
        sent = {"accept": ACCEPT, "content-type": "application/json", "authorization": f"Bearer {token}"}
        sent |= {name: value for name, value in given.items() if value is not None}
        return self.http.post(self.url, content=json.dumps(call).encode(), headers=sent)

    def whoami(self, token: str) -> dict[str, Any]:
        response = self.post(token)
        assert response.status_code == 200, response.text
        return response.json()["result"]["structuredContent"]

    def raw(self, request: bytes, wait_s: float = 5) -> bytes:
        """Return all that the server sends until it closes, or until it is silent for `wait_s`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as connection:
            connection.sendall(request)
            return received(connection)


# What a table of cases holds: how to make the token once the server runs.
Make = Callable[[Served], str]


def request_bytes(served: Served, *added: tuple[str, str], skip: str = "", target: str = "/mcp") -> bytes:
    """Return the bytes of a right request, with one header left out and others added."""
    headers = [
        ("host", served.host),
        ("authorization", f"Bearer {served.strict.token()}"),
        ("content-type", "application/json"),
        ("accept", ACCEPT),
        ("content-length", str(len(BODY))),
        ("connection", "close"),
    ]
    kept = [header for header in headers if header[0] != skip] + list(added)
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in kept)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY


def received(connection: socket.socket) -> bytes:
    answer = bytearray()
    with suppress(TimeoutError, ConnectionResetError):
        while data := connection.recv(262_144):
            answer += data
    return bytes(answer)


class Relay:
    """Passes connections on to PostgreSQL and keeps what the server sends it."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.carried = bytearray()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port = self._listener.getsockname()[1]

    @contextmanager
    def running(self) -> Generator["Relay"]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    @property
    def bytes_sent(self) -> int:
        return len(self.carried)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if counted:
                    self.carried += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def issuer_settings(strict: Issuer, cognito: Issuer, plain: Issuer) -> tuple[IssuerSettings, ...]:
    return (
        IssuerSettings(
            issuer=strict.url,
            audiences=("api://tenantgate",),
            algorithms=("RS256", "ES256"),
            token_type="at+jwt",
            tenant_claims=("tenant_id", "https://example.com/claims.tenant", "organization.tenant.id"),
            tier_claim="https://example.com/groups",
            scope_map={"claims:read": ("claims:read", "claims:admin")},
            max_lifetime_s=3600,
        ),
        IssuerSettings(
            issuer=cognito.url,
            client_ids=("desktop-client", "nightly-report"),
            token_use="access",
            scope_map={
                "claims:read": ("tenantgate/claims.read",),
                "policies:read": ("tenantgate/policies.read",),
            },
        ),
        IssuerSettings(issuer=plain.url, audiences=("api://tenantgate",), tier_claim="groups"),
    )


@pytest.fixture(scope="session")
def served(stack: Stack) -> Generator[Served]:
    with serving(stack) as running:
        yield running


@contextmanager
def serving(stack: Stack) -> Generator[Served]:
    """Serve with the stack's settings, but for the issuers, and count what goes to the database."""
    database_url = stack.settings.database.url.get_secret_value()
    parts = urlsplit(database_url)
    with ExitStack() as open_things:
        strict = Issuer(aud=RESOURCE, scope="claims:read policies:read", tenant_id="broker-a")
        cognito = Issuer(token_use="access", client_id="desktop-client", scope="tenantgate/claims.read")
        plain = Issuer(aud="api://tenantgate", scope="claims:read", azp="desktop-client")
        strict.jwks.append(public_jwk(private_key("EC", "curve"), "curve", alg="ES256"))
        plain.private = private_key("RSA", "second")
        plain.jwks = [public_jwk(plain.private, "of-plain")]
        for issuer in (strict, cognito, plain):
            open_things.enter_context(issuer.running())
        relay = open_things.enter_context(Relay((parts.hostname or "", parts.port or 5432)).running())
        user = parts.netloc.rpartition("@")[0]
        url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{relay.port}"))
        listener = listen("0.0.0.0", 0)
        port = listener.getsockname()[1]
        settings = stack.settings.model_copy(
            update={
                "resource_url": RESOURCE,
                "allowed_hosts": (f"127.0.0.1:{port}",),
                "allowed_origins": (ORIGIN,),
                "issuers": issuer_settings(strict, cognito, plain),
                "database": stack.settings.database.model_copy(update={"url": SecretStr(url)}),
            }
        )
        # The proof of isolation, which is made again every few minutes, would be counted as well.
        open_things.enter_context(pytest.MonkeyPatch.context()).setattr(proof, "_REPEAT_S", 1e9)
        open_things.enter_context(_tenants(stack, cognito, plain))
        open_things.enter_context(listening(create_app(settings), listener))
        http = open_things.enter_context(httpx2.Client(timeout=20))
        yield Served(port, http, strict, cognito, plain, relay)


@contextmanager
def _tenants(stack: Stack, cognito: Issuer, plain: Issuer) -> Generator[None]:
    """Map some people, one of them twice, and add a tenant that is not active."""
    people = [
        (cognito.url, "mapped-to-a", "broker-a"),
        (cognito.url, "mapped-to-both", "broker-a"),
        (cognito.url, "mapped-to-both", "broker-b"),
        (cognito.url, "mapped-to-closed", "broker-closed"),
        (cognito.url, "nightly-report", "broker-b"),
        (plain.url, "mapped-to-a", "broker-b"),
        (plain.url, "somebody", "broker-a"),
    ]
    with psycopg.connect(stack.admin_url, autocommit=True) as admin:
        admin.execute("INSERT INTO tenancy.tenants VALUES ('broker-closed', 'Closed', false) ON CONFLICT DO NOTHING")
        for person in people:
            admin.execute("INSERT INTO tenancy.user_tenants (issuer, user_sub, tenant_id) VALUES (%s, %s, %s)", person)
        yield
        admin.execute("DELETE FROM tenancy.user_tenants WHERE issuer IN (%s, %s)", (cognito.url, plain.url))
        admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id = 'broker-closed'")
