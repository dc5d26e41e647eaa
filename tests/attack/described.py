"""A server's tools as an OpenAPI document that schemathesis understands: one path each, which passes on to the server.

What the document cannot say is looked at on the way: an answer's output schema, its rows, and the form of an error.
"""

from typing import Any, Final

import httpx2
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from attack.target import FOREIGN

REFUSED: Final = 422
_MALFORMED: Final = 400
_LONGEST_ERROR: Final = 4_096
# What a caller is never told.
_INSIDE: Final = ("Traceback", "psycopg", "pydantic", "Error:", ".py", "SELECT ")


class Described:
    """Passes bodies on as the arguments of a tool: 200 answered, 422 refused by the tool, 400 by the protocol."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        """Ask the server at `url` for its tools."""
        self._http: Final = httpx2.AsyncClient(headers=headers, timeout=30)
        self._url: Final = f"{url}/mcp"
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        listed = httpx2.post(self._url, json=body, headers=headers, timeout=30).json()["result"]["tools"]
        self._tools: Final[dict[str, Any]] = {one["name"]: one for one in listed}
        self.passed_on = 0
        self.found: list[str] = []

    @property
    def app(self) -> Starlette:
        """The document, and a path for each tool."""

        async def described(_request: Request) -> JSONResponse:
            return JSONResponse(self.document)

        paths = [Route("/openapi.json", described), Route("/{tool}", self._call, methods=["POST"])]
        return Starlette(routes=paths)

    @property
    def document(self) -> dict[str, Any]:
        """What each tool takes; OpenAPI 3.1 takes the schemas as they are."""
        answers = {str(status): {"description": "-"} for status in (200, _MALFORMED, REFUSED)}
        paths = {
            f"/{name}": {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _with_null(one["inputSchema"])}},
                    },
                    "responses": answers,
                }
            }
            for name, one in self._tools.items()
        }
        return {"openapi": "3.1.0", "info": {"title": "tools", "version": "1"}, "paths": paths}

    async def _call(self, request: Request) -> JSONResponse:
        name = request.path_params["tool"]
        sent = (await request.body()).decode("utf-8", "surrogateescape")
        if sent.strip() in {"", "null"}:
            # A call without arguments is right, and neither is a way to give arguments.
            return JSONResponse({}, _MALFORMED)
        # Not parsed and written anew, which would change what was sent.
        call = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{sent}}}}}'
        self.passed_on += 1
        content = call.encode("utf-8", "surrogateescape")
        answer = await self._http.post(self._url, content=content, headers={"content-type": "application/json"})
        wrong, status = self._judged(name, answer)
        self.found += [f"{name}: {wrong}; sent {sent[:150]!r}"] if wrong else []
        return JSONResponse({}, status)

    def _judged(self, name: str, answer: httpx2.Response) -> tuple[str, int]:
        """Return what is wrong with an answer, and its status here."""
        if answer.status_code >= 500:
            return f"status {answer.status_code}", answer.status_code
        if any(one in answer.content for one in FOREIGN):
            return "a row of another tenant", 500
        body = answer.json()
        if "error" in body:
            return _form(body["error"]["message"]), _MALFORMED
        result = body["result"]
        if result.get("isError"):
            return _form(result["content"][0]["text"]), REFUSED
        problems = Draft202012Validator(self._tools[name]["outputSchema"]).iter_errors(result["structuredContent"])
        return next((f"the answer is not of its schema: {one.message[:100]}" for one in problems), ""), 200


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that says that null stands for the default, as docs/catalog.md does."""
    required = schema.get("required", ())
    properties = {
        name: one if name in required else {"anyOf": [one, {"type": "null"}]}
        for name, one in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _form(message: str) -> str:
    """Return what is wrong with the form of an error: it has to be short, and to show nothing of the inside."""
    if not message.strip() or len(message) > _LONGEST_ERROR:
        return f"an error of {len(message)} characters"
    shown = [one for one in _INSIDE if one in message]
    return f"an error that shows the inside ({shown[0]}): {message[:200]}" if shown else ""
