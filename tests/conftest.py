"""One development stack a test process: real PostgreSQL, issuer, knowledge base and server, over real HTTP."""

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, cast

import httpx2
import psycopg
import pytest
import structlog
from hypothesis import settings
from support.gate import served as served  # noqa: PLC0414  # a fixture
from support.listening import stack_running
from support.logs import StandardOutput

from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.sample import SAMPLE_DOCUMENTS
from server.dev.stack import Stack, development_stack

SAMPLE_FOLDER = Path(__file__).parents[1] / "tools" / "sample"
MODERN = "2026-07-28"


def lacks_a_library(file: Path) -> bool:
    """Whether a test imports a part of the demo whose libraries are not installed."""
    for module in re.findall(r"^from (client_demo[\w.]*)", file.read_text(encoding="utf-8"), re.MULTILINE):
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in {"client_demo", "server"}:
                return True
            raise
    return False


# strands-agents does not support the newest mcp yet, with which the server is tested as well.
if find_spec("strands") is None:
    collect_ignore = [file.name for file in Path(__file__).parent.glob("test_*.py") if lacks_a_library(file)]
ACCEPT = "application/json, text/event-stream"


# The same examples each time, so that a run says something of the change and not of chance; --slow looks further.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long tests")


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with SIGINT ignored, and every process of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(cast("TextIO", StandardOutput())))
    if config.getoption("--slow"):
        settings.register_profile("searching", derandomize=False, deadline=None)
        settings.load_profile("searching")


# What is about the core alone: these pass where somebody has deleted the sample pack. The others ask its tools.
CORE = frozenset(
    f"test_{name}.py"
    for name in (
        *("agentcore_page", "audit", "audit_checkpoints", "audit_extract", "audit_lost_files", "audit_refusals"),
        *("catalog_comparison", "catalog_document", "clients_document", "merkle"),
        *("declaration_mistakes", "dev_postgres", "doctor_hardened", "doctor_remedies", "document_store"),
        *("documents_sync", "fair_queue", "foreign_schemas", "generated_declarations", "jose", "keys", "lock"),
        *("own_column", "policy_texts", "protection", "requirements", "retrieval_filter", "scopes", "server_manifest"),
        *("tenant_addresses", "tenant_claims", "tenant_ids", "tenants_command"),
    )
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if SAMPLE_FOLDER.exists() or not collection_path.name.startswith("test_"):
        return None
    return collection_path.name not in CORE or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="a longer run; add --slow"))


@dataclass(frozen=True)
class Caller:
    """Calls the server over HTTP as one sample person, in either protocol era."""

    stack: Stack
    http: httpx2.Client
    token: str | None

    def post(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        era: str = "2025-11-25",
        headers: dict[str, str] | None = None,
        **overrides: Any,
    ) -> httpx2.Response:
        params = dict(params or {})
        sent = {"accept": ACCEPT, "mcp-protocol-version": era} | (
            {"authorization": f"Bearer {self.token}"} if self.token else {}
        )
        if era == MODERN:
            sent["mcp-method"] = method
            if "name" in params:
                sent["mcp-name"] = params["name"]
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | overrides
        return self.http.post(self.stack.addresses.mcp_url, json=body, headers=sent | (headers or {}))

    def call(self, tool: str, era: str = "2025-11-25", **arguments: Any) -> dict[str, Any]:
        """Return the result of a tool call that reached the tool, failures of the tool included."""
        response = self.post("tools/call", {"name": tool, "arguments": arguments}, era=era)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the structured content of a call that succeeded."""
        result = self.call(tool, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("development")
    folder.chmod(0o711)
    return folder


@pytest.fixture(scope="session")
def stack(stack_folder: Path) -> Iterator[Stack]:
    with development_stack(stack_folder, 0, SAMPLE_DOCUMENTS) as prepared, stack_running(prepared):
        _wait_for_the_documents(prepared)
        yield prepared
    # As root, in a folder that PostgreSQL's account cannot reach, the data lies elsewhere.
    EmbeddedPostgres(stack_folder / "postgres").remove()


def _wait_for_the_documents(stack: Stack) -> None:
    """Search once: the answer waits for the first proof, whose line in the log would surprise a test later."""
    if SAMPLE_FOLDER.exists():
        with httpx2.Client(timeout=60) as http:
            Caller(stack, http, stack.issuer.mint("mike-broker-a")).answer("search_policies", query="deductible")


@pytest.fixture(scope="session")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def caller(stack: Stack, http: httpx2.Client) -> Callable[..., Caller]:
    """Return a function: a person's name, and what the token should say otherwise, to a Caller."""

    def make(person: str, **claims: Any) -> Caller:
        return Caller(stack, http, stack.issuer.mint(person, **claims))

    return make


@pytest.fixture(scope="session")
def anonymous(stack: Stack, http: httpx2.Client) -> Caller:
    return Caller(stack, http, None)


@pytest.fixture
def admin(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """The administrator's connection, which row security does not bind."""
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def login(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A plain connection as the server's own login, in an attacker's hands."""
    with psycopg.connect(stack.addresses.database_url, autocommit=True) as connection:
        yield connection
