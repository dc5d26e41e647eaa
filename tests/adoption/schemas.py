"""Schemas of real applications, which stand beside the checkout and are not part of it."""

import gzip
from pathlib import Path

import psycopg
import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "schemas"
LABEL_STUDIO = "label-studio-1.23.2"
LOGTO = "logto-1.43.0"


def schema_text(name: str) -> str:
    """Return the dump of a schema; the test is skipped where it is not there."""
    file = FOLDER / f"{name}.sql.gz"
    if not file.is_file():
        pytest.skip(f"the schema {name} is not at {FOLDER}")
    # Lines for psql alone begin with a backslash.
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith("\\"))


def load_schema(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(schema_text(name).encode())
