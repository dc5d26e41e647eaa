"""The verbs that read the audit trail, on what a real server wrote."""

import csv
import io
import json
from collections import Counter
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from support.server_of_its_own import server_of_its_own
from typer.testing import CliRunner

from server.__main__ import cli
from server.audit.keys import parse_signing_key
from server.dev.stack import Stack
from server.settings import AuditSettings


def run(*arguments: str) -> Any:
    return CliRunner(env={"TENANTGATE_CONFIG": None}).invoke(cli, arguments)


class Wrote:
    """A trail, its settings file, and what the callers counted themselves."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.config = path.with_name("settings.toml")
        self.config.touch(mode=0o600)
        self.config.write_text(f'[audit]\npath = "{path}"\nsigning_key = "{key}"\n')
        self.calls = Counter[str]()
        self.failed = Counter[str]()
        self.rows = Counter[str]()
        self.bytes = Counter[str]()
        self.searches = Counter[str]()

    def verb(self, *arguments: str) -> str:
        result = run(*arguments, "--config", str(self.config))
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture(scope="module")
def wrote(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Wrote:
    path = tmp_path_factory.mktemp("commands") / "audit.jsonl"
    key = stack.settings.audit.signing_key
    wrote = Wrote(path, key.get_secret_value())
    audit = AuditSettings(path=path, signing_key=key, checkpoint_records=5)
    people = {"mike-broker-a": "broker-a", "emma-broker-b": "broker-b", "john-regular": "broker-a"}
    for person, tenant in people.items():
        with server_of_its_own(stack, person, changed={"audit": audit}) as server:
            asked: list[tuple[str, dict[str, Any]]] = [
                ("query_claims", {"limit": 2}),
                ("query_claims", {}),
                ("summarize_claims", {}),
                ("search_policies", {"query": "deductible for auto insurance"}),
                ("query_claims", {"limit": 0}),
                ("whoami", {}),
            ]
            for tool, arguments in asked:
                response = server.post(tool, **arguments)
                result = response.json()["result"]
                found = result.get("structuredContent", {})
                wrote.bytes[tenant] += len(response.content)
                (wrote.failed if result["isError"] else wrote.calls)[tenant] += 1
                wrote.rows[tenant] += len(found.get("claims", ()))
                # A summary reads one row for the total, and one for each group.
                wrote.rows[tenant] += 1 + len(found["groups"]) if "groups" in found else 0
                wrote.searches[tenant] += "passages" in found
    with server_of_its_own(stack, "omar-unmapped", changed={"audit": audit}) as server:
        server.post("query_claims")
    return wrote


def test_usage_equals_what_the_callers_counted(wrote: Wrote) -> None:
    used = {one["tenant"]: one for one in json.loads(wrote.verb("usage", "--json"))}
    assert used.keys() == {"broker-a", "broker-b"}
    for tenant, one in used.items():
        counted = (wrote.calls, wrote.failed, wrote.rows, wrote.bytes, wrote.searches)
        names = ("calls", "failed", "rows", "bytes", "searches")
        assert [one[name] for name in names] == [count[tenant] for count in counted]
        assert one["database_ms"] > 0
    table = list(csv.DictReader(io.StringIO(wrote.verb("usage", "--csv"))))
    assert [(one["tenant"], int(one["calls"])) for one in table] == [(one, used[one]["calls"]) for one in sorted(used)]
    assert wrote.verb("usage", "--to", "2020-01-01", "--json") == "[]\n"
    assert "broker-b" not in wrote.verb("usage", "--tenant", "broker-a", "--from", "2020-01-01")


def test_no_usage_is_shown_of_a_changed_trail(wrote: Wrote, tmp_path) -> None:
    changed = tmp_path / "audit.jsonl"
    changed.write_bytes(wrote.path.read_bytes().replace(b'"rows":2', b'"rows":3', 1))
    changed.with_name("audit.jsonl.head").write_bytes(wrote.path.with_name("audit.jsonl.head").read_bytes())
    result = run("usage", "--file", str(changed), "--config", str(wrote.config))
    assert result.exit_code == 1
    assert "no usage is shown" in str(result.exception)


def test_verify_counts_the_checkpoints_of_the_configured_key(wrote: Wrote) -> None:
    assert "checkpoints; no records after the last" in wrote.verb("audit", "verify")
    public = wrote.verb("audit", "keys", "--public").strip()
    assert public == parse_signing_key(wrote.key).public_text()
    assert run("audit", "verify", str(wrote.path), "--public-key", public).exit_code == 0


def test_a_new_key_pair_is_one_that_the_settings_take(tmp_path) -> None:
    printed = run("audit", "keys").stdout
    config = tmp_path / "settings.toml"
    config.touch(mode=0o600)
    config.write_text("[audit]\n" + printed.splitlines()[0] + "\n")
    public = run("audit", "keys", "--public", "--config", str(config)).stdout.strip()
    assert f'public_key = "{public}"' in printed


def test_show_filters_and_prints_a_table_or_json(wrote: Wrote) -> None:
    table = wrote.verb("audit", "show", "--tenant", "broker-b", "--tool", "query_claims")
    assert len(table.splitlines()) == 1 + 3
    assert "ArgumentsError" in table
    records = [json.loads(line) for line in wrote.verb("audit", "show", "--json", "--last", "0").splitlines()]
    assert {record.get("tenant") for record in records} == {"broker-a", "broker-b", None}
    person = records[0]["subject"]
    assert len(wrote.verb("audit", "show", "--person", person).splitlines()) == 1 + 6
    assert len(wrote.verb("audit", "show", "--last", "2").splitlines()) == 3
    assert len(wrote.verb("audit", "show", "--from", "2999-01-01").splitlines()) == 1
    wrong = run("audit", "show", "--from", "yesterday", "--config", str(wrote.config))
    assert "write 2026-11-26" in str(wrong.exception)


def test_an_extract_is_verified_with_the_public_key_alone(wrote: Wrote, tmp_path) -> None:
    file = tmp_path / "extract.jsonl"
    file.write_text(wrote.verb("audit", "extract", "--tenant", "broker-b"))
    public = wrote.verb("audit", "keys", "--public").strip()
    good = run("audit", "extract", "--check", str(file), "--public-key", public)
    assert good.stdout.startswith("broker-b: 6 records, and none is missing until ")
    file.write_text(file.read_text().replace("query_claims", "query_Claims", 1))
    bad = run("audit", "extract", "--check", str(file), "--public-key", public)
    assert "the extract does not verify at line" in str(bad.exception)


@cache
def validator(name: str) -> Any:
    schemas = pytest.importorskip("ocsf_json_schema", reason="ocsf-json-schema is in the test group of the lock")
    from jsonschema import Draft202012Validator

    schema = schemas.OcsfJsonSchemaEmbedded(schemas.get_ocsf_schema(version="1.8.0")).get_class_schema(name)
    return Draft202012Validator(schema)


def test_every_exported_event_is_valid_ocsf(wrote: Wrote, stack) -> None:
    lines = wrote.verb("audit", "export", "--format", "ocsf").splitlines()
    lines += run("audit", "export", "--format", "ocsf", "--file", str(stack.settings.audit.path)).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    kinds = Counter(event["class_name"] for event in events)
    assert set(kinds) == {"API Activity", "Datastore Activity"}
    for event in events:
        name = event["class_name"].lower().replace(" ", "_")
        assert not list(validator(name).iter_errors(event)), event
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["category_uid"] == event["class_uid"] // 1000
        if "ip" in event["src_endpoint"]:
            ip_address(event["src_endpoint"]["ip"])
    queries = [event for event in events if "query_info" in event]
    assert {len(event["query_info"]["uid"]) for event in queries} == {64}
    assert {event["metadata"].get("tenant_uid") for event in queries} >= {"broker-a", "broker-b"}
