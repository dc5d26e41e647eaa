"""README.md: its declaration and its commands, as they stand there, serve a table to its tenant."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.examined_database import Examined, database_of_its_own
from support.real_server import RealServer, real_server
from support.server_of_its_own import OwnServer

from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
DECLARATION, *_ = re.findall(r"```toml\n(# tools/orders\.toml\n.*?)```", TEXT, re.DOTALL)
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
(CALL,) = (block for block in BLOCKS if block.startswith("curl"))
(OWN_TABLES,) = (block for block in BLOCKS if "tools sql" in block)
(PRODUCTION,) = (block for block in BLOCKS if "tenantgate serve" in block)
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id text NOT NULL, number text NOT NULL, status text NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now(), total numeric(12, 2) NOT NULL, customer_email text
);
CREATE INDEX ON shop.orders (account_id, placed_at DESC, id DESC);
INSERT INTO shop.orders (account_id, number, status, total)
VALUES ('acme', 'A-1', 'open', 10), ('acme', 'A-2', 'paid', 30), ('bolt', 'B-1', 'open', 99);
"""

READABLE = """
SELECT attname FROM pg_attribute
WHERE attrelid = 'shop.orders'::regclass AND attnum > 0 AND has_column_privilege(attrelid, attnum, 'SELECT')
"""


@pytest.fixture
def shop(stack: Stack) -> Iterator[Examined]:
    with database_of_its_own(stack.admin_url, stack.addresses.database_url, "readme") as database:
        database.run(SHOP)
        yield database


@pytest.fixture
def server(shop: Examined, tmp_path: Path) -> Iterator[RealServer]:
    """The folder in which somebody follows README.md, with a settings file that has no context key yet."""
    with real_server(tmp_path, shop.url, "", catalog=["tools"], audit=None, tenancy={"tenant_lookup": False}) as made:
        made.write(database={"url": shop.url, "admin_url": shop.admin_url})
        (tmp_path / "tools").mkdir()
        (tmp_path / "tools" / "orders.toml").write_text(DECLARATION, encoding="utf-8")
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "tenantgate"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        yield made


def run(server: RealServer, line: str) -> str:
    """Run a line of the page in the server's folder, and return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
    path = f"{server.folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", line],
        cwd=server.folder,
        env=clean | {"PATH": path, "PYTHONPATH": str(ROOT)} | server.variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_for_an_own_table_lead_to_a_server_that_shows_each_tenant_its_rows(server, shop) -> None:
    migrate, add_key, add_tenant, prove, serve = PRODUCTION.splitlines()
    check, print_policies, prove_again = OWN_TABLES.splitlines()
    assert "already" not in run(server, migrate).partition("\n")[0]
    key = run(server, add_key).strip()
    server.variables["TENANTGATE_DATABASE__CONTEXT_KEYS"] = key
    run(server, add_tenant)
    run(server, add_tenant.replace(" acme ", " bolt "))
    run(server, check)
    shop.run(run(server, print_policies))
    assert prove.split("#")[0].split() == prove_again.split("#")[0].split()
    run(server, prove)
    assert serve.split() == ["tenantgate", "serve", "--config", "tenantgate.toml"]
    with psycopg.connect(shop.url, autocommit=True) as login:
        readable = login.execute(READABLE).fetchall()
        # The declared ones, the key and the tenant's.
        assert {name for (name,) in readable} == {"number", "status", "placed_at", "total", "id", "account_id"}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login.execute("SELECT customer_email FROM shop.orders")
    server.start()
    server.ready()
    for tenant, numbers in {"acme": {"A-1", "A-2"}, "bolt": {"B-1"}}.items():
        person = OwnServer(server.url, server.issuer.token(scope="orders:read", tenant_id=tenant))
        answer = person.call("query_orders")["structuredContent"]
        assert {order["number"] for order in answer["orders"]} == numbers
        assert set(answer["orders"][0]) == {"number", "status", "placed_at", "amount"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_call_by_hand_is_answered_with_the_claims_of_the_person(stack, stack_folder) -> None:
    recipe = CALL.replace("http://127.0.0.1:8000/mcp", stack.addresses.mcp_url)
    recipe = recipe.replace(".venv/bin/tenantgate token", f"{sys.executable} -m server token --folder {stack_folder}")
    assert recipe.count(str(stack_folder)) == 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", recipe], env=environment, capture_output=True, text=True, check=True)
    assert '"isError":false' in done.stdout
    assert "CLM-A-" in done.stdout
    assert "CLM-B-" not in done.stdout
