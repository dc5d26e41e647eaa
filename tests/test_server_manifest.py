"""server.json: what MCP registries are told, in the form that their schema of 2025-12-11 asks for."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

ROOT: Final = Path(__file__).parents[1]
MANIFEST: Final[dict[str, Any]] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
# The parts of the registry's schema that apply to a server without packages; stricter in that it allows nothing else.
SCHEMA: Final = {
    "type": "object",
    "required": ["$schema", "name", "description", "version", "remotes"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
        "name": {"type": "string", "minLength": 3, "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": {"type": "string", "maxLength": 255},
        "remotes": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "url"],
                "additionalProperties": False,
                "properties": {
                    "type": {"const": "streamable-http"},
                    "url": {"type": "string", "pattern": r"^https?://[^\s]+$"},
                    "variables": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "required": ["description"],
                            "additionalProperties": False,
                            "properties": {
                                "description": {"type": "string"},
                                "isRequired": {"type": "boolean"},
                                "placeholder": {"type": "string"},
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_the_manifest_has_the_registrys_form() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(MANIFEST)


def test_the_manifest_names_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert MANIFEST["version"] == project["version"]


@pytest.mark.parametrize("remote", MANIFEST["remotes"])
def test_every_placeholder_of_an_address_is_explained(remote) -> None:
    assert set(re.findall(r"{(\w+)}", remote["url"])) == set(remote["variables"])
    assert remote["url"].endswith("/mcp")
