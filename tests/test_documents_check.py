"""`tenantgate documents check`: every kind of mistake is reported with its remedy; a sound folder has none."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.quiet_runner import QuietRunner

from server.__main__ import cli
from server.dev.sample import SAMPLE_DOCUMENTS
from server.documents.upload.check import check_folder
from server.documents.upload.finding import Kind
from server.documents.upload.folder import MAXIMUM_BYTES, MAXIMUM_IMAGE_BYTES
from server.documents.upload.labels import LabelRules
from server.errors import SettingsError

RULES = LabelRules(tiers=("regular", "platinum"))
BY_TENANT = LabelRules(("tier", "tenant_id"), ("regular", "platinum"), ("broker-a", "broker-b"))


def write(folder, name="guide.md", content=b"# Guide", sidecar: Any = None, **labels: Any):
    """Write a document, and its sidecar: as given, else with these labels."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if sidecar is None:
        sidecar = json.dumps({"metadataAttributes": {"tier": "regular"} | labels})
    path.with_name(path.name + ".metadata.json").write_text(str(sidecar))


def attributes(text):
    return '{"metadataAttributes": {' + text + "}}"


SIDECARS = [
    ("oversized-sidecar", attributes('"tier": "regular", "note": "' + "x" * 10_240 + '"'), "larger than 10 KB"),
    ("invalid-json", "{'tier': 'regular'}", "not JSON"),
    ("invalid-json", attributes('"tier": "regular", "year": NaN'), "NaN is not a number"),
    ("duplicate-key", attributes('"tier": "regular", "tier": "platinum"'), "same key twice"),
    ("wrong-shape", '{"tier": "regular"}', 'lacks the object "metadataAttributes"'),
    ("wrong-shape", '{"metadataattributes": {"tier": "regular"}}', 'lacks the object "metadataAttributes"'),
    ("attribute-name", attributes('"tier": "regular", "": 1'), "1 to 100 characters"),
    ("attribute-name", attributes('"tier": "regular", "' + "k" * 101 + '": 1'), "1 to 100 characters"),
    ("reserved-name", attributes('"tier": "regular", "x-amz-bedrock-kb-source-uri": "s3://x"'), "reserved prefix"),
    ("reserved-name", attributes('"tier": "regular", "_id": "x"'), '"_id" has a reserved prefix'),
    ("attribute-type", attributes('"tier": "regular", "year": null'), '"year" must be a string, a number'),
    ("attribute-type", attributes('"tier": "regular", "year": [1]'), '"year" must be a string, a number'),
    ("typed-value", attributes('"tier": {"value": {"type": "STRING", "numberValue": 1}}'), "STRING with stringValue"),
    ("typed-value", attributes('"tier": {"stringValue": "regular"}'), '"tier" must have a "value" object'),
    ("missing-isolating-key", attributes('"document_type": "policy"'), "lacks 'tier', so nobody would find it"),
    ("missing-isolating-key", attributes('"Tier": "regular"'), "lacks 'tier' (it has 'Tier')"),
    ("isolating-type", attributes('"tier": ["regular"]'), "must give 'tier' as one text"),
    ("isolating-type", attributes('"tier": 1'), "must give 'tier' as one text"),
    ("unknown-tier", attributes('"tier": "gold"'), "unknown tier 'gold'; known: regular, platinum"),
    ("unknown-tier", attributes('"tier": "Regular"'), "unknown tier 'Regular'"),
    (
        "unenforced-tenant",
        attributes('"tier": "regular", "tenant_id": "broker-a"'),
        "answers that hold it are withheld",
    ),
    ("unenforced-tenant", attributes('"tier": "regular", "Tenant_ID": "broker-a"'), "write it tenant_id"),
]


@pytest.mark.parametrize(("kind", "sidecar", "message"), SIDECARS)
def test_a_mistake_in_a_sidecar_is_found(tmp_path, kind, sidecar, message):
    write(tmp_path, sidecar=sidecar)
    (finding,) = check_folder(tmp_path, RULES).findings
    assert (finding.path, finding.kind) == ("guide.md.metadata.json", kind)
    assert message in finding.message


TENANTS = [
    ("missing-isolating-key", {}, "lacks 'tenant_id'"),
    ("unknown-tenant", {"tenant_id": "broker-c"}, "unknown tenant 'broker-c'; known: broker-a, broker-b, or '*'"),
    ("unknown-tenant", {"tenant_id": "**"}, "unknown tenant '**'"),
    ("isolating-type", {"tenant_id": ["broker-a"]}, "must give 'tenant_id' as one text"),
]


@pytest.mark.parametrize(("kind", "labels", "message"), TENANTS)
def test_a_mistake_in_a_tenant_is_found(tmp_path, kind, labels, message):
    write(tmp_path, **labels)
    (finding,) = check_folder(tmp_path, BY_TENANT).findings
    assert finding.kind == kind
    assert message in finding.message


def test_a_malformed_tenant_is_found_even_when_none_is_known(tmp_path):
    write(tmp_path, tenant_id="Broker A")
    (finding,) = check_folder(tmp_path, LabelRules(("tier", "tenant_id"))).findings
    assert finding.kind == "unknown-tenant"
    assert "letters, digits and _ . : @ -" in finding.message


@pytest.mark.parametrize("tenant", ["org_2AbC.x:1@y", "9f1c4a52-0000-4000-8000-000000000001", "42"])
def test_a_tenant_as_identity_providers_issue_it_is_sound(tmp_path, tenant):
    write(tmp_path, tenant_id=tenant)
    assert check_folder(tmp_path, LabelRules(("tier", "tenant_id"))).findings == []


@pytest.mark.parametrize("tenant", ["broker-a", "*"])
def test_a_known_tenant_and_the_word_for_every_tenant_are_sound(tmp_path, tenant):
    write(tmp_path, tenant_id=tenant)
    assert check_folder(tmp_path, BY_TENANT).findings == []


DOCUMENTS = [
    ("unsupported-format", "guide.exe", b"MZ", "a kind that Bedrock does not read"),
    ("unsupported-format", "guide.MD", b"# Guide", "a kind that Bedrock does not read"),
    ("empty-document", "guide.md", b" \n", "is empty"),
    ("not-utf-8", "guide.txt", "Selbstbehalt für Autos".encode("latin-1"), "save it in that encoding"),
    ("oversized-document", "guide.pdf", b"x" * (MAXIMUM_BYTES + 1), "larger than 50 MB"),
    ("oversized-document", "guide.png", b"x" * (MAXIMUM_IMAGE_BYTES + 1), "larger than 3.75 MB"),
    ("unsafe-name", "gui\x1bde.md", b"# Guide", "rename it"),
    ("unsafe-name", "güide.md", b"# Guide", "rename it"),
]


@pytest.mark.parametrize(("kind", "name", "content", "message"), DOCUMENTS, ids=[repr(one[:2]) for one in DOCUMENTS])
def test_a_mistake_in_a_document_is_found(tmp_path, kind, name, content, message):
    write(tmp_path, name, content)
    (finding,) = check_folder(tmp_path, RULES).findings
    assert finding.kind == kind
    assert message in finding.message
    assert finding.path.isprintable()


def test_a_document_without_its_sidecar_is_found(tmp_path):
    """R99."""
    (tmp_path / "guide.md").write_text("# Guide")
    (finding,) = check_folder(tmp_path, RULES).findings
    assert (finding.path, finding.kind) == ("guide.md", "missing-sidecar")
    assert "guide.md.metadata.json" in finding.message


def test_a_sidecar_without_its_document_is_found(tmp_path):
    write(tmp_path)
    (tmp_path / "guide.metadata.json").write_text("{}")
    (finding,) = check_folder(tmp_path, RULES).findings
    assert (finding.path, finding.kind) == ("guide.metadata.json", "orphan-sidecar")


def test_a_link_that_leads_out_of_the_folder_is_found(tmp_path):
    write(tmp_path / "documents")
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "documents" / "guide.md").unlink()
    (tmp_path / "documents" / "guide.md").symlink_to(tmp_path / "secret.md")
    (finding,) = check_folder(tmp_path / "documents", RULES).findings
    assert finding.kind == "outside-link"


def test_a_sidecar_that_cannot_be_read_is_found(tmp_path):
    write(tmp_path)
    (tmp_path / "guide.md.metadata.json").unlink()
    (tmp_path / "guide.md.metadata.json").mkdir()
    (finding,) = check_folder(tmp_path, RULES).findings
    assert finding.kind == "unreadable"


def test_labels_beyond_the_limits_of_s3_vectors_are_found_where_that_is_the_store(tmp_path):
    labels: dict[str, Any] = {f"key{number}": number for number in range(40)}
    write(tmp_path, **labels)
    assert check_folder(tmp_path, RULES).findings == []
    (finding,) = check_folder(tmp_path, LabelRules(store="s3-vectors")).findings
    assert finding.kind == "too-much-metadata"


def test_an_empty_folder_is_found_and_a_missing_one_is_wrong_usage(tmp_path):
    (finding,) = check_folder(tmp_path, RULES).findings
    assert finding.kind == "no-documents"
    with pytest.raises(SettingsError, match="does not exist"):
        check_folder(tmp_path / "nowhere", RULES)


def test_several_mistakes_are_all_reported(tmp_path):
    write(tmp_path, "deep/er/a.md", sidecar=attributes('"_id": 1, "tier": null, "ok": 1'))
    write(tmp_path, "b.exe", b"", tier="gold")
    (tmp_path / ".hidden").write_text("not a document")
    found = [(one.path, one.kind) for one in check_folder(tmp_path, RULES).findings]
    assert found == [
        ("b.exe", "unsupported-format"),
        ("b.exe", "empty-document"),
        ("b.exe.metadata.json", "unknown-tier"),
        ("deep/er/a.md.metadata.json", "reserved-name"),
        ("deep/er/a.md.metadata.json", "attribute-type"),
    ]


def test_the_tables_cover_every_kind_of_mistake():
    alone = {"missing-sidecar", "orphan-sidecar", "outside-link", "unreadable", "too-much-metadata", "no-documents"}
    assert alone | {one[0] for one in (*SIDECARS, *TENANTS, *DOCUMENTS)} == set(Kind.__args__)


def test_the_sample_documents_are_sound():
    assert check_folder(SAMPLE_DOCUMENTS, RULES).findings == []


def test_the_verb_prints_findings_and_fails(tmp_path):
    write(tmp_path, tier="gold")
    run = QuietRunner().invoke(cli, ["documents", "check", str(tmp_path), "--tier", "regular"], terminal_width=200)
    assert run.exit_code == 1
    assert "unknown-tier" in run.stdout
    assert "1 documents in" in run.stdout
    sound = QuietRunner().invoke(cli, ["documents", "check", str(tmp_path)])
    assert (sound.exit_code, "0 findings" in sound.stdout) == (0, True)


def test_the_verb_prints_one_json_document(tmp_path):
    write(tmp_path, tier="gold")
    run = QuietRunner().invoke(cli, ["documents", "check", str(tmp_path), "--json", "--tier", "regular"])
    assert run.exit_code == 1
    assert json.loads(run.stdout) == {
        "documents": 1,
        "findings": [
            {
                "path": "guide.md.metadata.json",
                "kind": "unknown-tier",
                "message": "names the unknown tier 'gold'; known: regular",
            }
        ],
    }


def test_the_tiers_and_the_isolation_come_from_the_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("TENANTGATE_CONFIG", raising=False)
    write(tmp_path / "documents", tenant_id="broker-a", tier="gold")
    (tmp_path / "settings.toml").write_text(
        'resource_url = "https://mcp.example.com/mcp"\n[[issuers]]\nissuer = "https://id.example.com"\n'
        'client_ids = ["x"]\n[tenancy]\ntiers = ["regular"]\n[database]\n[documents]\n'
        'knowledge_base_id = "ABCDEFGHIJ"\nisolate_by = ["tier", "tenant_id"]\n'
    )
    command = ["documents", "check", str(tmp_path / "documents"), "--json", "--config", str(tmp_path / "settings.toml")]
    run = subprocess.run([sys.executable, "-m", "server", *command], capture_output=True, check=False)
    assert run.returncode == 1, run.stderr
    assert [one["kind"] for one in json.loads(run.stdout)["findings"]] == ["unknown-tier"]


def test_canaries_are_written_for_every_tier_and_tenant_and_are_sound(tmp_path):
    options = ["--tier", "regular", "--tier", "platinum", "--tenant", "broker-a", "--tenant", "broker-b", "--by-tenant"]
    run = QuietRunner().invoke(cli, ["documents", "canaries", str(tmp_path), *options])
    assert run.exit_code == 0
    assert len(run.stdout.split()) == 6
    assert "tenantgate-canaries/regular-everyone.txt" in run.stdout
    assert check_folder(tmp_path, BY_TENANT).findings == []
    unknown = QuietRunner().invoke(cli, ["documents", "canaries", str(tmp_path)])
    assert unknown.exit_code != 0


DOCUMENTATION = Path(__file__).parents[1] / "docs" / "documents.md"


@pytest.mark.parametrize("command", re.findall(r"^tenantgate (documents .*)$", DOCUMENTATION.read_text(), re.MULTILINE))
def test_every_command_in_the_documentation_exists(command):
    """Each verb and option that it names exists; what they do is tested elsewhere."""
    options = [word for word in command.split() if word.startswith("--")]
    shown = QuietRunner().invoke(cli, [*command.split()[:2], "--help"], terminal_width=200)
    assert shown.exit_code == 0
    assert all(option in shown.stdout for option in options), shown.stdout
