"""A desktop client: the MCP SDK's own sign-in, with a browser without a window where a person's would open."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from support.browser import query

CALLBACK = "http://127.0.0.1:9/callback"


class SigningBrowser(Protocol):
    """What opens the address that the client asks for."""

    def sign_in(self, authorize_url: str) -> str:
        """Return where the issuer sends the browser."""
        ...


@dataclass
class Memory:
    """What a client keeps: its registration and its tokens, every one that it was given."""

    clients: list[OAuthClientInformationFull] = field(default_factory=list)
    tokens: list[OAuthToken] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens[-1] if self.tokens else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens.append(tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.clients[-1] if self.clients else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.clients.append(client_info)


@dataclass
class Desktop:
    """One client of the server at `url`; `arrived` is where the last sign-in ended."""

    url: str
    browser: SigningBrowser
    memory: Memory = field(default_factory=Memory)
    arrived: str = ""

    def __post_init__(self) -> None:
        metadata = {"client_name": "Desktop", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
        self.provider = OAuthClientProvider(
            self.url, OAuthClientMetadata.model_validate(metadata), self.memory, self._open, self._returned
        )

    async def _open(self, url: str) -> None:
        self.arrived = await anyio.to_thread.run_sync(self.browser.sign_in, url)

    async def _returned(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(query(self.arrived))

    @asynccontextmanager
    async def connected(self, mode: str) -> AsyncGenerator[Client]:
        http = httpx2.AsyncClient(auth=self.provider, trust_env=False, timeout=20)
        async with http, Client(streamable_http_client(self.url, http_client=http), mode=mode) as client:
            yield client
