"""Makes recorded calls over HTTP, and masks in their answers what cannot be the same twice."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import httpx2
import jwt
from conftest import ACCEPT, MODERN

from support.recorded_calls import Answer, Line

# A machine that stood still for more than a second makes the pool say this: it is no answer to compare.
_BUSY: Final = 'Retry in a few seconds."}]'
_ATTEMPTS: Final = 5
_CURSOR: Final = re.compile(r"[A-Za-z0-9_=-]{1,3000}")
_NO_CURSOR: Final = "the call before gave no cursor"
_SCORE: Final = re.compile(r'("score\\?":)(-?[0-9.]+(?:[eE][+-]?[0-9]+)?)')


@dataclass
class Clock:
    """The server's clock: it shows what it is set to."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Replay:
    """One server, the people's tokens, and the cursors that this server gave."""

    url: str
    http: httpx2.Client
    issuer: str
    # The address that challenges name: the settings' own, whatever the port of this server is.
    resource: str
    tokens: Mapping[str, str | None]
    clock: Clock
    _cursors: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])

    def answer(self, line: Line, era: str, now: datetime) -> Answer:
        """Send the call of `line` while the server's clock shows `now`, and return the masked answer."""
        self.clock.now = datetime.fromisoformat(line["at"]) if "at" in line else now
        token = self.tokens[line["person"]]
        headers, body = self._request(line, era, token)
        response = self._post(headers, body)
        body = self._keep_cursor(response.content.decode(), era, line["number"])
        challenge = response.headers.get("www-authenticate")
        masks = self._masks(token)
        return Answer(response.status_code, challenge and _replaced(challenge, masks), _replaced(body, masks))

    def _post(self, headers: dict[str, str], body: bytes) -> httpx2.Response:
        for attempt in range(1, _ATTEMPTS + 1):
            response = self.http.post(self.url, headers=headers, content=body)
            if _BUSY not in response.text:
                return response
            time.sleep(0.5 * attempt)
        raise TimeoutError(f"after {_ATTEMPTS} attempts the server still asks to retry")

    def _request(self, line: Line, era: str, token: str | None) -> tuple[dict[str, str], bytes]:
        params: dict[str, Any] = {"name": line["tool"]}
        if "arguments" in line:
            params["arguments"] = self._with_cursors(line["arguments"], era)
        headers = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": era}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if era == MODERN:
            headers |= {"mcp-method": "tools/call", "mcp-name": str(line["tool"])}
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return headers, json.dumps(message).encode()

    def _with_cursors(self, arguments: Any, era: str) -> Any:
        """Put the cursor that call N gave in this era in the place of `<cursor of N>`."""
        if not isinstance(arguments, dict) or not isinstance(arguments.get("cursor"), str):
            return arguments

        def given(name: re.Match[str]) -> str:
            return self._cursors.get((era, int(name[1])), _NO_CURSOR)

        return {**arguments, "cursor": re.sub("<cursor of ([0-9]+)>", given, arguments["cursor"])}

    def _keep_cursor(self, body: str, era: str, number: int) -> str:
        """Mask `next_cursor`, if it is a string that can be sent back, and keep it for the calls that follow."""
        try:
            cursor: Any = json.loads(body)["result"]["structuredContent"]["next_cursor"]
        except (ValueError, LookupError, TypeError):
            return body
        if not isinstance(cursor, str) or not _CURSOR.fullmatch(cursor):
            return body
        self._cursors[era, number] = cursor
        return body.replace(cursor, "<cursor>")

    def _masks(self, token: str | None) -> dict[str, str]:
        """Return the values that this run alone has, each as the server must write it: any other form is seen."""
        masks = {
            self.issuer: "<issuer>",
            self.resource: "<resource>",
            f'"version":"{version("tenantgate")}"': '"version":"<version>"',
        }
        if token is not None and token.count(".") == 2 and token.startswith("ey"):
            expiry = jwt.decode(token, options={"verify_signature": False})["exp"]
            masks[datetime.fromtimestamp(expiry, UTC).isoformat()] = "<expires_at>"
        return masks


def _replaced(text: str, masks: Mapping[str, str]) -> str:
    for value, mask in masks.items():
        text = text.replace(value, mask)
    return _SCORE.sub(lambda score: f"{score[1]}{round(float(score[2]), 2)}", text)
