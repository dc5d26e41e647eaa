"""sqlmap on the arguments of the tools; its control writes an argument into SQL."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any, Final

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attack.faulty import faulty_server
from attack.outcome import Attack, Result
from attack.target import FOREIGN, Target
from attack.tools import missing, run

# A star is where sqlmap writes; without it, each call is answered with rows, so that a change of the answer shows.
CALLS: Final[dict[str, dict[str, str]]] = {
    "query_claims": {
        "customer_name": "Johnson*",
        "claim_number": "CLM-A-001*",
        "status": "open*",
        "filed_from": "2020-01-01*",
        "min_amount": "1*",
        "sort": "amount*",
        "limit": "20*",
    },
    "summarize_claims": {
        "customer_name": "o*",
        "group_by": "status*",
        "max_amount": "99999*",
        "filed_to": "2999-12-31*",
    },
    "search_policies": {"query": "deductible*", "document_type": "policy*"},
}
_OPTIONS: Final = (
    *("--batch", "--flush-session", "--disable-coloring", "--dbms", "PostgreSQL"),
    # More requests, and conditions that update rows, find nothing more in a server that says what it refuses.
    *("--level", "2", "--risk", "2", "--time-sec", "2", "--method", "POST"),
)
_POINT: Final = re.compile(r"^Parameter: (.+)$", re.MULTILINE)
_FAILURES: Final = re.compile(r"^(5\d\d \(.*?\)) - (\d+) times", re.MULTILINE)
_NOTHING: Final = "do not appear to be injectable"
_REQUEST: Final = re.compile(rb"^HTTP request \[#", re.MULTILINE)


def injected(url: str, headers: dict[str, str], tool: str, arguments: dict[str, str]) -> Result:
    """Run sqlmap on the marked arguments of one tool; its traffic is searched for rows of another tenant."""
    params = {"name": tool, "arguments": arguments}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    sent = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    with tempfile.TemporaryDirectory() as folder:
        home, traffic = Path(folder), Path(folder) / "traffic.txt"
        places = ("--output-dir", folder, "-t", str(traffic))
        said = run("sqlmap", "-u", f"{url}/mcp", "--data", body, *sent, *_OPTIONS, *places, home=home)
        exchanged = traffic.read_bytes() if traffic.exists() else b""
    found = [f"{tool}: {point}" for point in _POINT.findall(said)]
    found += [f"{tool}: {status}, {count} times" for status, count in _FAILURES.findall(said)]
    found += [f"{tool}: an answer holds {name.decode()}" for name in FOREIGN if name in exchanged]
    if not found and _NOTHING not in said:
        found.append(f"{tool}: sqlmap came to no verdict: {said[-200:]!r}")
    return Result(len(_REQUEST.findall(exchanged)), tuple(found))


def attack(target: Target) -> Result:
    """Attack every argument that is a text or a number."""
    results = [injected(target.url, target.headers(), tool, arguments) for tool, arguments in CALLS.items()]
    found = [one for result in results for one in result.found]
    return Result(sum(one.sent for one in results), (*found, *target.trouble()))


def control(target: Target) -> Result:
    """Attack the same request where the argument becomes part of the statement."""
    with faulty_server(_careless(target.stack.admin_url)) as url:
        result = injected(url, {}, "query_claims", {"customer_name": "Johnson*"})
    points = tuple(one for one in result.found if "customer_name" in one or "Parameter" in one or "JSON" in one)
    return Result(result.sent, points, () if points else ("an argument that is written into SQL",))


def _careless(database_url: str) -> Starlette:
    async def mcp(request: Request) -> JSONResponse:
        body: dict[str, Any] = await request.json()
        name = body["params"]["arguments"]["customer_name"]
        statement = f"SELECT claim_number, customer_name FROM app.claims WHERE customer_name ILIKE '%{name}%'"
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await connection.execute("SET default_transaction_read_only = on; SET statement_timeout = '5s'")
            try:
                rows = await (await connection.execute(statement.encode())).fetchall()
                result: dict[str, Any] = {"structuredContent": {"claims": rows}}
            except psycopg.Error as error:
                result = {"isError": True, "content": [{"type": "text", "text": str(error)}]}
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})

    return Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])


ATTACK: Final = Attack(
    "sqlmap",
    "SQL in the arguments of three tools",
    lambda: missing("sqlmap", how="make attack-tools"),
    attack,
    control,
)
