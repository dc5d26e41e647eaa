"""Whatever is asked, the isolating conditions stand unaltered at the outermost level of a filter that Bedrock takes."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_store import always, answer, scripted_store

from server.dev.knowledge_base.retrieval_filter import parse_filter
from server.documents.bedrock.client import KnowledgeBase
from server.documents.bedrock.retrieval_filter import retrieval_filter
from server.documents.isolation import SHARED_TENANT, Isolation
from server.documents.store import Condition
from server.documents.tenant_documents import TenantDocuments
from server.errors import ArgumentsError, RefusedError
from server.settings import DocumentsSettings
from server.tenancy.context import TenantContext

MODEL = botocore.session.get_session().get_service_model("bedrock-agent-runtime")
RETRIEVE: Any = MODEL.operation_model("Retrieve").input_shape
KNOWN = {"knowledge_base_id": "ABCDEFGHIJ", "region": "eu-west-1"}
TIER = Condition("tier", ("regular",))

tenants = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
tiers = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
types = st.none() | st.text(min_size=1, max_size=100)
isolations = st.sampled_from([("tier",), ("tier", "tenant_id")])


def context(tenant="broker-a", tier: str | None = "regular"):
    return TenantContext(tenant, tier, None)  # pyright: ignore[reportArgumentType]


def conditions_of(tenant, tier, isolate_by, document_type):
    narrowing = (Condition("document_type", (document_type,)),) if document_type else ()
    return (*Isolation.of(context(tenant, tier), isolate_by).conditions, *narrowing)


@pytest.fixture(scope="module")
def knowledge_base() -> Iterator[KnowledgeBase]:
    with contextlib.closing(KnowledgeBase(DocumentsSettings.model_validate(KNOWN))) as opened:
        yield opened


def documented_limits(value: Any, shape: Any, place: str = "") -> list[str]:
    """Return every place that breaks a size or a pattern which the service's own model publishes."""
    broken = []
    if isinstance(value, str | list) and len(value) > shape.metadata.get("max", len(value)):
        broken.append(f"{place} is too long")
    if isinstance(value, int) and not shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value):
        broken.append(f"{place} is out of range")
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in value.items():
            if name in shape.members:
                broken += documented_limits(member, shape.members[name], f"{place}.{name}")
    # The values of a filter are any JSON, which has no limits here.
    if shape.type_name == "list" and isinstance(value, list):
        for member in value:
            broken += documented_limits(member, shape.member, f"{place}[]")
    return broken


def depth(node: Any) -> int:
    """Return how many andAll and orAll lie within each other."""
    if isinstance(node, list):
        return max(map(depth, node), default=0)
    if not isinstance(node, dict):
        return 0
    return max((name in {"andAll", "orAll"}) + depth(member) for name, member in node.items())


@given(tenants, tiers, isolations, types, st.text(min_size=1, max_size=20_000), st.integers(1, 100))
@settings(deadline=None, max_examples=200)
def test_the_isolating_conditions_stand_unaltered_at_the_outermost_level(
    knowledge_base, tenant, tier, isolate_by, document_type, query, limit
):
    """R97, with botocore's own validation and every documented limit, which botocore does not check."""
    conditions = conditions_of(tenant, tier, isolate_by, document_type)
    built = retrieval_filter(conditions)
    outermost = built.get("andAll", [built])
    assert {"equals": {"key": "tier", "value": tier}} in outermost
    if "tenant_id" in isolate_by:
        assert {"in": {"key": "tenant_id", "value": [tenant, SHARED_TENANT]}} in outermost
    if document_type:
        assert outermost[-1] == {"equals": {"key": "document_type", "value": document_type}}
    assert len(outermost) == len(isolate_by) + bool(document_type)
    assert len(built) == 1
    request = knowledge_base.request(query, conditions, limit)
    assert request["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"] == built
    report = ParamValidator().validate(request, RETRIEVE)
    assert not report.has_errors(), report.generate_report()
    assert documented_limits(request, RETRIEVE) == []
    assert "andAll" not in built or 2 <= len(outermost) <= 5
    assert depth(built) <= 1
    parse_filter(built)


@given(tenants, tenants, tiers, tiers, isolations, types)
@settings(deadline=None)
def test_rows_of_one_context_are_not_seen_by_another(tenant, other_tenant, tier, other_tier, isolate_by, document_type):
    """R97: a document passes exactly when its labels are the caller's own or shared within the tier."""
    matches = parse_filter(retrieval_filter(conditions_of(tenant, tier, isolate_by, document_type)))
    labels: dict[str, Any] = {"tier": other_tier, "tenant_id": other_tenant, "document_type": document_type or "any"}
    own = tier == other_tier and ("tenant_id" not in isolate_by or tenant == other_tenant)
    assert matches(labels) is own
    assert matches({**labels, "tenant_id": SHARED_TENANT}) is (tier == other_tier)
    assert not matches({})
    assert not matches({"document_type": document_type or "any"})


LABELS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | tiers


@given(st.dictionaries(st.sampled_from(["tier", "tenant_id", "Tier", ""]), LABELS), isolations)
@settings(deadline=None)
def test_the_second_check_and_the_filter_of_the_store_agree(metadata, isolate_by):
    """R98: a document passes the check on the way back only if the filter asks for it."""
    isolation = Isolation.of(context(), isolate_by)
    accepted = all(condition.holds(metadata) for condition in isolation.conditions)
    assert accepted is parse_filter(retrieval_filter(isolation.conditions))(metadata)
    assert isolation.admits(metadata) <= accepted
    for metadata_like in (None, [], "tier", [("tier", "regular")]):
        assert not isolation.admits(metadata_like)


@pytest.mark.parametrize("query", ["", "x" * 20_001])
def test_a_query_beyond_the_documented_size_is_refused_before_anything_is_sent(knowledge_base, query):
    with pytest.raises(ArgumentsError, match="1 to 20,000 characters; nothing was read"):
        knowledge_base.request(query, (TIER,), 5)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_number_of_results_beyond_the_documented_limit_is_refused(knowledge_base, limit):
    with pytest.raises(ArgumentsError, match="from 1 to 100; nothing was read"):
        knowledge_base.request("x", (TIER,), limit)


REFUSED = {
    "none at all": (),
    "six": (TIER,) * 6,
    "a label of Bedrock's own": (TIER, Condition("x-amz-bedrock-kb-source-uri", ("x",))),
    "a label with an underscore": (TIER, Condition("_id", ("x",))),
    "a label without a name": (TIER, Condition("", ("x",))),
    "a label of 101 characters": (TIER, Condition("k" * 101, ("x",))),
}


@pytest.mark.parametrize("conditions", REFUSED.values(), ids=REFUSED)
def test_conditions_that_a_filter_cannot_say_are_refused_before_anything_is_sent(knowledge_base, conditions):
    with pytest.raises(ArgumentsError, match="nothing was read"):
        knowledge_base.request("x", conditions, 5)


def test_without_a_tier_there_is_no_filter_at_all():
    with pytest.raises(RefusedError):
        Isolation.of(context(tier=None), ("tier",))


INJECTED = ["platinum", '"}},{"orAll":[', "*", "regular' or '1'='1", "andAll", "policy\n", "ΑΒΓ", "{}"]


@pytest.mark.parametrize("text", INJECTED)
def test_arguments_reach_the_wire_as_values_alone(monkeypatch, text):
    monkeypatch.setitem(os.environ, "AWS_ACCESS_KEY_ID", "worthless")
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", "worthless")
    with scripted_store(always(answer({"retrievalResults": []}))) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", store.url)
        with contextlib.closing(KnowledgeBase(DocumentsSettings.model_validate(KNOWN))) as documents:
            search = TenantDocuments(documents, ("tier",), context()).search(text, 5, {"document_type": text})
            assert asyncio.run(search) == []
    assert store.requests == [
        {
            "retrievalQuery": {"text": text},
            "retrievalConfiguration": {
                "vectorSearchConfiguration": {
                    "numberOfResults": 6,
                    "filter": {
                        "andAll": [
                            {"equals": {"key": "tier", "value": "regular"}},
                            {"equals": {"key": "document_type", "value": text}},
                        ]
                    },
                }
            },
        }
    ]
