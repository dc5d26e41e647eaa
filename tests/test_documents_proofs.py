"""`doctor` on Bedrock's knowledge base: each canary is seen by its own alone, or the check says what offends."""

import pytest
from support.scripted_store import ScriptedStore, always, answer, scripted_store

from server.dev.knowledge_base.retrieval_filter import parse_filter
from server.dev.sample import SAMPLE_DOCUMENTS
from server.doctor.document_proofs import document_checks
from server.documents.upload.canaries import write_canaries
from server.documents.upload.labels import LabelRules
from server.settings import Settings

NAMES = ["documents_answer", "documents_filter", "documents_canaries"]
SHARED = [{"tier": tier, "tenant_id": "*", "document_type": "tenantgate-canary"} for tier in ("regular", "platinum")]
OWN = [{"tier": "regular", "tenant_id": tenant, "document_type": "tenantgate-canary"} for tenant in ("a", "b")]
OF_A = {"tier": "platinum", "tenant_id": "a", "document_type": "guide"}
GUIDE = {"tier": "platinum", "document_type": "guide"}


def settings_for(isolate_by=("tier", "tenant_id"), **documents):
    return Settings.model_validate(
        {
            "resource_url": "https://mcp.example.com/mcp",
            "issuers": [{"issuer": "https://id.example.com", "client_ids": ["x"]}],
            "tenancy": {"tiers": ["regular", "platinum"]},
            "database": {},
            "documents": {
                "knowledge_base_id": "ABCDEFGHIJ",
                "region": "eu-west-1",
                "timeout_ms": 10_000,
                "isolate_by": isolate_by,
                **documents,
            },
        }
    )


def storing(documents, ignoring=()):
    """Return a handler that keeps these documents and filters them as Bedrock does, but for the keys it ignores."""

    def handle(connection, body):
        asked = body["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"]
        members = asked.get("andAll", [asked])
        kept = [one for one in members if next(iter(one.values()))["key"] not in ignoring]
        found = [one for one in documents if all(parse_filter(member)(one) for member in kept)]
        connection.sendall(answer({"retrievalResults": [{"content": {"text": "x"}, "metadata": one} for one in found]}))

    return handle


def checked(monkeypatch, handler, **settings):
    """Return the offenders of each check by its name."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "worthless")
    with scripted_store(handler) as store:
        assert isinstance(store, ScriptedStore)
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", store.url)
        checks = document_checks(settings_for(**settings))
    assert [check.name for check in checks] == NAMES
    return {check.name: [f"{one.object}: {one.problem}" for one in check.offenders] for check in checks}


SOUND = {name: [] for name in NAMES}


def test_a_store_that_filters_passes_every_check(monkeypatch):
    assert checked(monkeypatch, storing([*SHARED, *OWN, OF_A])) == SOUND
    assert checked(monkeypatch, storing([*SHARED, GUIDE]), isolate_by=("tier",)) == SOUND


@pytest.mark.parametrize("ignored", ["tier", "tenant_id"])
def test_a_store_that_ignores_a_label_offends(monkeypatch, ignored):
    """R98."""
    found = checked(monkeypatch, storing([*SHARED, *OWN, OF_A], ignoring=(ignored,)))
    assert found["documents_filter"]
    assert all("is returned for" in one for one in found["documents_filter"])


def test_a_store_that_finds_unlabelled_documents_offends(monkeypatch):
    """R99."""

    def handle(connection, _body):
        connection.sendall(answer({"retrievalResults": [{"content": {"text": "x"}, "metadata": {}}]}))

    found = checked(monkeypatch, handle)
    assert "the document store: a document labelled (None, None) is returned" in found["documents_filter"][0]


def test_a_document_of_one_tenant_offends_where_tenants_are_not_filtered(monkeypatch):
    """R120: every answer that holds it is withheld, so the operator must know."""
    found = checked(monkeypatch, storing([*SHARED, OF_A]), isolate_by=("tier",))
    (offence,) = found.pop("documents_filter")
    assert offence.startswith("the document store: a document labelled ('platinum', 'a') is returned for platinum, nob")
    assert not any(found.values())


def test_a_canary_that_is_missing_or_hidden_from_its_own_offends(monkeypatch):
    missing = checked(monkeypatch, storing([SHARED[0]]))["documents_canaries"]
    assert missing == ["the canary of platinum: it is not in the document store"]

    def hiding(connection, body):
        asked = body["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"]
        storing([*SHARED, *OWN] if "andAll" not in asked else SHARED)(connection, body)

    assert checked(monkeypatch, hiding) == SOUND | {
        "documents_canaries": [
            "the canary of regular, a: regular, a does not see it",
            "the canary of regular, b: regular, b does not see it",
        ]
    }


def test_a_store_that_does_not_answer_offends_without_a_claim_about_isolation(monkeypatch):
    denied = always(answer({"message": "no"}, 403, "AccessDeniedException"))
    found = checked(monkeypatch, denied)
    assert "does not accept this server's requests" in found["documents_answer"][0]
    assert found["documents_filter"] == found["documents_canaries"] == []


def test_without_a_document_store_there_is_nothing_to_check():
    settings = settings_for()
    assert document_checks(settings.model_copy(update={"documents": None})) == ()


def test_the_development_knowledge_base_passes_every_check(stack):
    assert [check.name for check in document_checks(stack.settings) if check.holds] == NAMES


def test_the_sample_canaries_are_the_ones_that_the_verb_writes(tmp_path):
    names = write_canaries(tmp_path, LabelRules(tiers=("regular", "platinum")))
    for name in [*names, *(f"{one}.metadata.json" for one in names)]:
        assert (tmp_path / name).read_text() == (SAMPLE_DOCUMENTS / name).read_text()
