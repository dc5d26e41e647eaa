"""What every document store shares: filter, check of the answer, canaries and proofs, here over stores in memory."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from server.catalog.access import Scope, grant_access
from server.catalog.declarations import Search
from server.catalog.loading import CatalogError, load_catalog
from server.catalog.search import SearchTool
from server.doctor.document_proofs import store_checks
from server.documents.configured import check_labels, document_store
from server.documents.isolation import CANARY_TYPE, SHARED_TENANT, Caller
from server.documents.store import MAXIMUM_PASSAGES, Condition, DocumentStore, FoundPassage
from server.documents.tenant_documents import Passage, TenantDocuments
from server.errors import ArgumentsError, RefusedError, UnavailableError, WithheldError
from server.settings import DocumentsSettings
from server.tenancy.context import TenantContext

TIERS = ("regular", "platinum")
BY_TIER = ("tier",)
BY_TENANT = ("tier", "tenant_id")


@dataclass(frozen=True)
class Person:
    """What a verified token leads to."""

    tier: str | None
    tenant: str | None
    why_no_tier: str | None = None


OF_A = Person("regular", "a")


@dataclass
class MemoryStore:
    """Documents in a list; returns those that meet every condition, in their order, as often as it is asked."""

    documents: list[FoundPassage]
    asked: list[tuple[str, tuple[Condition, ...], int]] = field(default_factory=list)

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        self.asked.append((query, tuple(conditions), limit))
        return [one for one in self.documents if all(condition.holds(one.labels) for condition in conditions)]

    def close(self) -> None:
        pass


@dataclass
class MisbehavingStore(MemoryStore):
    """Forgets the conditions on one label."""

    forgotten: str = "tier"

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        return await super().search(query, [one for one in conditions if one.key != self.forgotten], limit)


class AbsentStore(MemoryStore):
    """Does not answer."""

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        raise UnavailableError("The shelf is locked.")


def found(text="x", path=("guides", "a.md"), **labels: Any) -> FoundPassage:
    return FoundPassage(text, labels, path, 0.5, 3)


def canary(tier, **labels):
    return found(f"canary {tier}", ("canary.txt",), tier=tier, document_type=CANARY_TYPE, **labels)


def searched(
    store: DocumentStore,
    caller: Caller = OF_A,
    isolate_by: Sequence[str] = BY_TIER,
    limit: int = 5,
    labels: Mapping[str, str] | None = None,
) -> list[Passage]:
    """Return what a search of one caller answers."""
    return asyncio.run(TenantDocuments(store, isolate_by, caller).search("a question", limit, labels or {}))


LIBRARY = [
    found("regular", tier="regular"),
    found("platinum", tier="platinum"),
    found("unlabelled"),
    found("regular guide", ("guides", "b.md"), tier="regular", document_type="guide"),
    canary("regular"),
    canary("platinum"),
]
SHELVES = [
    found("a's", tier="regular", tenant_id="a", language="en"),
    found("b's", tier="regular", tenant_id="b", language="en"),
    found("everyone's", tier="regular", tenant_id=SHARED_TENANT),
    found("nobody's", tier="regular"),
    *(canary(tier, tenant_id=tenant) for tier in TIERS for tenant in (SHARED_TENANT, "a", "b")),
]


def test_a_caller_finds_the_documents_of_their_tier_alone():
    store = MemoryStore(LIBRARY)
    assert searched(store) == [
        Passage("regular", "a.md", 0.5, {"tier": "regular"}, 3),
        Passage("regular guide", "b.md", 0.5, {"tier": "regular", "document_type": "guide"}, 3),
    ]
    assert [one.text for one in searched(store, Person("platinum", "a"))] == ["platinum"]
    assert store.asked[0] == ("a question", (Condition("tier", ("regular",)),), 6)


@pytest.mark.parametrize(("tenant", "texts"), [("a", ["a's", "everyone's"]), ("c", ["everyone's"])])
def test_a_caller_finds_the_documents_of_their_tenant_and_the_shared_ones_alone(tenant, texts):
    store = MemoryStore(SHELVES)
    assert [one.text for one in searched(store, Person("regular", tenant), BY_TENANT)] == texts
    conditions = (Condition("tier", ("regular",)), Condition("tenant_id", (tenant, SHARED_TENANT)))
    assert store.asked == [("a question", conditions, 7)]


def test_labels_of_the_caller_only_narrow():
    """R97: they stand beside the isolating conditions, as values of conditions of their own."""
    store = MemoryStore(LIBRARY)
    assert [one.text for one in searched(store, labels={"document_type": "guide"})] == ["regular guide"]
    for nothing in ("nothing", "", CANARY_TYPE):
        assert searched(store, labels={"document_type": nothing}) == []
    assert store.asked[0][1] == (Condition("tier", ("regular",)), Condition("document_type", ("guide",)))


@pytest.mark.parametrize("label", ["tier", "tenant_id", "Tier", " tenant_id", "TENANT_ID"])
@pytest.mark.parametrize("value", ["platinum", "regular", "*", "b"])
def test_a_label_that_isolates_is_never_asked_for_by_a_caller(label, value):
    store = MemoryStore(LIBRARY)
    with pytest.raises(ArgumentsError, match="nothing was read"):
        searched(store, labels={label: value})
    assert store.asked == []


@pytest.mark.parametrize("isolate_by", [BY_TIER, BY_TENANT])
def test_a_store_that_forgets_the_tier_never_leads_to_an_answer(isolate_by):
    """R98."""
    store = MisbehavingStore([*SHELVES, found("platinum", tier="platinum", tenant_id="a")])
    with pytest.raises(WithheldError):
        searched(store, isolate_by=isolate_by)


def test_a_store_that_forgets_the_tenant_never_leads_to_an_answer(capsys):
    with pytest.raises(WithheldError):
        searched(MisbehavingStore(SHELVES, forgotten="tenant_id"), isolate_by=BY_TENANT)
    assert "security: the document store returned a passage outside" in capsys.readouterr().out


def test_a_document_of_another_tenant_withholds_the_answer_whatever_the_setting():
    """R120: also where documents.isolate_by knows nothing of tenants, so that the store rightly returns it."""
    own, foreign = found("a's", tier="regular", tenant_id="a"), found("b's", tier="regular", tenant_id="b")
    shared, plain = found("everyone's", tier="regular", tenant_id="*"), found("plain", tier="regular")
    assert len(searched(MemoryStore([own, shared, plain]))) == 3
    for position in range(4):
        documents = [own, shared, plain]
        documents.insert(position, foreign)
        with pytest.raises(WithheldError):
            searched(MemoryStore(documents), limit=1)


@pytest.mark.parametrize("labels", [None, [], "tier", [("tier", "regular")]])
def test_malformed_labels_withhold_the_answer(labels):
    with pytest.raises(WithheldError):
        searched(RawStore([found(tier="regular"), FoundPassage("x", labels)]))


class RawStore(MemoryStore):
    """Returns everything it has."""

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        return self.documents


def test_without_a_tier_or_a_tenant_nothing_is_asked():
    store = MemoryStore(LIBRARY)
    for nobody, word in ((Person(None, "a"), "tier"), (Person("regular", None), "tenant")):
        with pytest.raises(RefusedError, match=word):
            searched(store, nobody)
    assert store.asked == []


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_that_no_store_must_support_is_refused(limit):
    store = MemoryStore(LIBRARY)
    with pytest.raises(ArgumentsError, match="from 1 to 100; nothing was read"):
        searched(store, limit=limit)
    assert store.asked == []


def test_a_store_is_never_asked_for_more_than_it_must_support():
    store = MemoryStore([found(str(number), tier="regular") for number in range(200)])
    assert len(searched(store, limit=MAXIMUM_PASSAGES)) == store.asked[0][2] == MAXIMUM_PASSAGES


def test_passages_without_text_and_labels_of_odd_types_are_left_out():
    odd = {"none": None, "deep": {"a": 1}, "mixed": ["a", 1], "nan": float("nan"), "huge": 10**400}
    even = {"year": 2024, "share": 0.5, "active": True, "topics": ["auto", "home"]}
    documents = [found("", tier="regular"), found("text", tier="regular", **odd, **even)]
    assert [one.labels for one in searched(MemoryStore(documents))] == [{"tier": "regular", **even}]


def offences(store: DocumentStore, isolate_by=BY_TIER) -> dict[str, list[str]]:
    checks = asyncio.run(store_checks(store, isolate_by, TIERS))
    return {check.name: [one.problem for one in check.offenders] for check in checks}


SOUND = {"documents_answer": [], "documents_filter": [], "documents_canaries": []}


def test_an_honest_store_passes_every_proof():
    assert offences(MemoryStore(LIBRARY)) == SOUND
    assert offences(MemoryStore(SHELVES), BY_TENANT) == SOUND


@pytest.mark.parametrize("forgotten", ["tier", "tenant_id"])
def test_a_store_that_forgets_a_label_fails_the_proofs(forgotten):
    found = offences(MisbehavingStore(SHELVES, forgotten=forgotten), BY_TENANT)
    assert found["documents_filter"]
    assert all("is returned for" in one for one in found["documents_filter"])


def test_a_canary_that_its_own_do_not_see_fails_the_proofs():
    class HidingStore(MemoryStore):
        async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
            kept = await super().search(query, conditions, limit)
            return kept if len(conditions) == 1 else [one for one in kept if one.labels.get("tenant_id") != "b"]

    assert offences(HidingStore(SHELVES), BY_TENANT) == SOUND | {
        "documents_canaries": ["platinum, b does not see it", "regular, b does not see it"]
    }
    assert offences(MemoryStore(LIBRARY[:5])) == SOUND | {"documents_canaries": ["it is not in the document store"]}


def test_a_store_that_does_not_answer_fails_the_proofs_without_a_verdict_on_isolation():
    assert offences(AbsentStore([])) == SOUND | {"documents_answer": ["The shelf is locked."]}


LABELS = {
    "tier": "decides what a caller may see",
    "tenant_id": "decides what a caller may see",
    "Tier": "decides what a caller may see",
    "x-amz-bedrock-kb-source-uri": "reserved prefix",
    "_id": "reserved prefix",
    "": "1 to 100 characters",
    "k" * 101: "1 to 100 characters",
}


@pytest.mark.parametrize(("name", "problem"), LABELS.items())
def test_a_declared_label_that_nobody_may_narrow_by_is_refused(name, problem):
    refused = check_labels(["document_type", name])
    assert refused is not None
    assert problem in refused
    assert "\n" not in refused


def test_declared_labels_are_few_and_distinct():
    assert check_labels([]) is None
    assert check_labels(["document_type", "language", "year"]) is None
    assert check_labels(["document_type", "document_type"]) == "a label is named twice; name each label once"
    assert check_labels(list("abcd")) == "there are 4 labels, and a search takes at most 3; remove some"


@pytest.mark.parametrize(
    ("label", "problem"), [("tier", "decides what a caller may see"), ("limit", "another argument")]
)
def test_a_catalog_that_lets_callers_narrow_by_such_a_label_is_refused(tmp_path, label, problem):
    file = tmp_path / "search.toml"
    declared = f'[[search]]\ntool = "find"\ndescription = "Finds."\nscope = "find"\nlabels = ["{label}"]\n'
    file.write_text(declared)
    with pytest.raises(CatalogError, match=f"search find: labels: .*{label}.*{problem}"):
        load_catalog([str(file)])
    file.write_text(declared.replace(label, "language"))
    assert [search.tool for search in load_catalog([str(file)]).searches] == ["find"]


@pytest.mark.parametrize(("page", "shown"), [(3, {"page": 3}), (None, {})])
def test_the_answer_of_a_search_tool_has_the_page_where_it_is_known(page, shown):
    declared = Search(tool="find", description="Finds.", scope="find", labels=("language",))
    store = MemoryStore([FoundPassage("x", {"tier": "regular", "language": "en"}, ("a.md",), 0.5, page)])
    context = TenantContext("a", "regular", None)  # pyright: ignore[reportArgumentType]
    scope = Scope(None, TenantDocuments(store, BY_TIER, context), None, None)  # pyright: ignore[reportArgumentType]
    access = grant_access(context, datetime.now(UTC), scope)
    answer = asyncio.run(SearchTool(declared).answer({"query": "x", "language": "en"}, access))
    assert json.loads(answer)["passages"] == [
        {"text": "x", "document": "a.md", "score": 0.5, "metadata": {"tier": "regular", "language": "en"}, **shown}
    ]
    assert store.asked[0][1][1] == Condition("language", ("en",))


def test_the_configured_store_can_be_opened_and_closed():
    settings = DocumentsSettings(knowledge_base_id="ABCDEFGHIJ", region="eu-west-1")
    document_store(settings).close()


def test_the_shared_modules_of_stores_run_without_any_store():
    """Neither the shared modules nor the check of a declaration loads boto3 or the adapter that uses it."""
    modules = "store", "isolation", "names", "tenant_documents", "configured"
    code = "; ".join(f"import server.documents.{name}" for name in modules)
    code += (
        "; import sys; print([name for name in ('boto3', 'server.documents.bedrock.client') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
