"""schemathesis on the input schemas of the tools: values that fit, and others; its control breaks on some."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attack.described import REFUSED, Described
from attack.faulty import faulty_server
from attack.outcome import Attack, Result
from attack.target import Target
from attack.tools import missing, run

_CHECKS: Final = "not_a_server_error,status_code_conformance,negative_data_rejection,positive_data_acceptance"
_OPTIONS: Final = (
    "--checks",
    _CHECKS,
    "--phases",
    "examples,coverage,fuzzing",
    "--mode",
    "all",
    "--workers",
    "2",
    "--continue-on-failure",
)
# A value may fit the schema and be refused for what it means: a period together with a day, a cursor of another call.
_SETTINGS: Final = f"""
[checks]
positive_data_acceptance.expected-statuses = [200, {REFUSED}]
negative_data_rejection.expected-statuses = [400, {REFUSED}]
"""
_FAILURE: Final = re.compile(r"^- ([A-Z].+)$", re.MULTILINE)
_BODY: Final = re.compile(r"curl .*?-d '?(.*?)'? http://[^/]+(/\w+)")
_SUCCESS: Final = re.compile(r"No issues found|\d+ passed")


def explored(url: str, examples: int, seed: int) -> tuple[str, ...]:
    """Run schemathesis on the document at `url`; return its failures, or that it came to no verdict."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
        options = (*_OPTIONS, "--max-examples", str(examples), "--seed", str(seed))
        said = run("schemathesis", "run", f"{url}/openapi.json", *options, home=Path(folder))
    failures = [f"{kind}: {' '.join(where[::-1])}"[:250] for kind, where in _failures(said)]
    if not failures and not _SUCCESS.search(said):
        return (f"schemathesis came to no verdict: {said[-300:]!r}",)
    return tuple(failures)


def _failures(said: str) -> list[tuple[str, tuple[str, str]]]:
    found: list[tuple[str, tuple[str, str]]] = []
    for part in re.split(r"^_{10,}", said, flags=re.MULTILINE):
        kinds, bodies = _FAILURE.findall(part), _BODY.findall(part)
        found += [(kind, bodies[0] if bodies else ("", "")) for kind in kinds]
    return found


def attack(target: Target, examples: int = 250, seed: int = 1) -> Result:
    """Explore what every tool takes, as a person of one tenant."""
    described = Described(target.url, target.headers())
    with faulty_server(described.app) as url:
        failures = explored(url, examples, seed)
    return Result(described.passed_on, (*failures, *described.found, *target.trouble()))


def control(_target: Target) -> Result:
    """Explore tools that break: on a value that fits, on one that does not, on both by accepting everything."""
    found: dict[str, tuple[str, ...]] = {}
    sent: list[int] = []
    for name, breaks in _HOLES.items():
        with faulty_server(_breaking(breaks, sent)) as url:
            found[name] = explored(url, 50, 1)
    seen = {name: ones for name, ones in found.items() if any(_EXPECTED[name] in one for one in ones)}
    return Result(
        len(sent), tuple(f"{name}: {ones[0]}" for name, ones in seen.items()), tuple(found.keys() - seen.keys())
    )


def _takes_all(_arguments: Any) -> int:
    return 200


def _breaks_at_the_edge(arguments: Any) -> int:
    if not isinstance(arguments, dict) or arguments.keys() - {"limit"}:
        return REFUSED
    limit: Any = arguments.get("limit", 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 100:
        return REFUSED
    return 500 if limit == 100 else 200


def _breaks_on_another_type(arguments: Any) -> int:
    limit: Any = arguments.get("limit", 1) if isinstance(arguments, dict) else 0
    return 500 if isinstance(limit, str) else 200 if isinstance(limit, int) and 1 <= limit <= 100 else REFUSED


_HOLES: Final[dict[str, Callable[[Any], int]]] = {
    "a value that fits and breaks the tool": _breaks_at_the_edge,
    "a value that does not fit and breaks the tool": _breaks_on_another_type,
    "a tool that takes everything": _takes_all,
}
_EXPECTED: Final = {
    "a value that fits and breaks the tool": "erver error",
    "a value that does not fit and breaks the tool": "erver error",
    "a tool that takes everything": "Schema-violating",
}


def _breaking(judge: Callable[[Any], int], sent: list[int]) -> Starlette:
    limit = {"type": "integer", "minimum": 1, "maximum": 100}
    schema = {"type": "object", "properties": {"limit": limit}, "additionalProperties": False}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    answers = {str(status): {"description": "-"} for status in (200, 400, REFUSED)}
    path = {"/tool": {"post": {"requestBody": body, "responses": answers}}}
    document = JSONResponse({"openapi": "3.1.0", "info": {"title": "tools", "version": "1"}, "paths": path})

    async def tool(request: Request) -> JSONResponse:
        try:
            arguments = await request.json()
        except ValueError:
            return JSONResponse({}, 400)
        sent.append(judge(arguments))
        return JSONResponse({}, sent[-1])

    async def described(_request: Request) -> JSONResponse:
        return document

    return Starlette(routes=[Route("/openapi.json", described), Route("/tool", tool, methods=["POST"])])


ATTACK: Final = Attack(
    "schemathesis",
    "values that fit the schemas, and do not",
    lambda: missing("schemathesis", how="make attack-tools"),
    attack,
    control,
)
