"""CONTRIBUTING.md, "What you touch": changes made in a copy of the code, with as many files as the page says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# What a change writes: a new file, or an old and a new text in one that is there.
Edit = str | tuple[str, str]

CHECK: dict[str, Edit] = {
    "sql/checks/0999_example.sql": "-- The example holds.\n"
    "SELECT 'example', 'is broken', 'repair it' FROM login WHERE rolname IS NULL\n",
}
SETTING: dict[str, Edit] = {
    "server/settings/connections.py": (
        "    maximum: ",
        '    example_s: Annotated[int, Field(ge=1, le=60)] = 7\n    """seconds of an example"""\n    maximum: ',
    ),
    # What uses it.
    "server/http/health.py": (
        "from starlette.requests",
        "from server.settings import ConnectionsSettings as C\n\nUSED = C().example_s\nfrom starlette.requests",
    ),
}
STORE: dict[str, Edit] = {
    "server/documents/folder_store.py": '''"""A folder of texts; the folder that holds a text is its tier."""

from collections.abc import Sequence
from pathlib import Path

from server.documents.store import Condition, FoundPassage


class FolderStore:
    """Returns every text that meets the conditions."""

    def __init__(self, folder: str) -> None:
        self._texts = [(path.parent.name, path.name, path.read_text()) for path in Path(folder).glob("*/*.txt")]

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        found = [FoundPassage(text, {"tier": tier}, (name,)) for tier, name, text in self._texts]
        return [one for one in found if all(condition.holds(one.labels) for condition in conditions)]

    def close(self) -> None:
        pass
''',
    "server/documents/configured.py": (
        "    # boto3 is loaded only where there are documents.\n",
        """    if settings.folder:
        from server.documents.folder_store import FolderStore

        return FolderStore(settings.folder)
""",
    ),
    "server/settings/documents.py": (
        "    region: str",
        '    folder: str = ""\n    """a folder of texts"""\n    region: str',
    ),
}
PROGRAM = """
import asyncio, json, sys
sys.path.insert(0, "docs_site")
from settings_page import PAGE, written
from server.catalog.loading import load_catalog
from server.doctor.examination import examine
from server.documents.configured import document_store
from server.documents.tenant_documents import TenantDocuments
from server.http.health import USED
from server.settings import DocumentsSettings, Settings
from server.tenancy.context import TenantContext

url, key, folder = sys.argv[1:]
settings = Settings.model_validate({"database": {"url": url, "context_keys": [key]}, "catalog": ["sample"]})
report = examine(settings, load_catalog(settings.catalog), exact=False)
documents = DocumentsSettings.model_validate({"folder": folder, "knowledge_base_id": "ABCDEFGHIJ"})
john = TenantContext("a", "regular", None)
found = asyncio.run(TenantDocuments(document_store(documents), ("tier",), john).search("x", 9))
print(json.dumps({
    "checks": {check.name: [check.purpose, not check.offenders] for check in report.checks},
    "rows": [line for line in written(PAGE.read_text()).splitlines() if "example_s" in line],
    "value": USED,
    "found": [passage.text for passage in found],
}))
"""


@pytest.fixture(scope="module")
def changed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the code does after all changes of this file."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("server", "sql", "tools", "docs_site", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.svg"))
    for path, edit in (CHECK | SETTING | STORE).items():
        text = edit
        if isinstance(edit, tuple):
            before = (copy / path).read_text(encoding="utf-8")
            assert edit[0] in before, path
            text = before.replace(*edit, 1)
        (copy / path).write_text(str(text), encoding="utf-8")
    for tier in ("regular", "platinum"):
        (copy / "texts" / tier).mkdir(parents=True)
        (copy / "texts" / tier / "guide.txt").write_text(f"for {tier}", encoding="utf-8")
    database = stack.settings.database
    arguments = [stack.addresses.database_url, database.context_keys[0].get_secret_value(), str(copy / "texts")]
    program = [sys.executable, "-c", PROGRAM, *arguments]
    environment = {"PATH": "", "PYTHONPATH": str(copy)}
    done = subprocess.run(program, cwd=copy, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def files_for(change: str) -> str:
    """Return how many files the page names for a change."""
    found = re.search(rf"(?m)^\| {change} \| ([^|]+?) \|", PAGE)
    assert found is not None, change
    return found[1]


def test_a_doctor_check_is_one_file(changed: dict[str, Any]) -> None:
    assert changed["checks"]["0999_example"] == ["The example holds.", True]
    assert files_for("a check of doctor") == f"{len(CHECK)}"


def test_a_setting_is_one_file_and_the_one_that_uses_it_and_its_page_is_generated(changed: dict[str, Any]) -> None:
    assert changed["value"] == 7
    row = "| `example_s` | whole number, 1 to 60 | `7` | `TENANTGATE_CONNECTIONS__EXAMPLE_S` | seconds of an example |"
    assert changed["rows"] == [row]
    assert files_for("a setting") == f"{len(SETTING)}"


def test_a_document_store_is_three_files(changed: dict[str, Any]) -> None:
    assert changed["found"] == ["for regular"]
    assert files_for("a document store") == f"{len(STORE)}"


def test_every_file_that_the_page_names_exists() -> None:
    section = PAGE.partition("## What you touch")[2].partition("\n## ")[0]
    named = re.findall(r"`((?:server|sql|tests|docs)/[\w./]+\.\w+)`", section)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []
