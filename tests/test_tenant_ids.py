"""A tenant id has one canonical spelling, which depends on `tenancy.id_type` alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tenancy import access_token, registry, resolver, tenants_of

from server.tenant_id import IdType, canonical_tenant

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
LARGEST = 2**63 - 1
CANONICAL: dict[tuple[IdType, Any], str] = {
    ("text", "org_9ybsU1dN2dKfDkBi"): "org_9ybsU1dN2dKfDkBi",
    ("text", "Acme.Inc:eu@2-b"): "Acme.Inc:eu@2-b",
    ("text", "a" * 128): "a" * 128,
    ("text", "007"): "007",
    ("text", 7): "7",
    ("text", 0): "0",
    ("text", 10**127): str(10**127),
    ("uuid", UUID): UUID,
    ("uuid", UUID.upper()): UUID,
    ("uuid", UUID.replace("-", "")): UUID,
    ("uuid", UUID.replace("-", "").upper()): UUID,
    ("integer", "0"): "0",
    ("integer", 0): "0",
    ("integer", "007"): "7",
    ("integer", 7): "7",
    ("integer", str(LARGEST)): str(LARGEST),
    ("integer", LARGEST): str(LARGEST),
}
MALFORMED: dict[IdType, list[Any]] = {
    "text": [
        *("", " ", "a ", " a", "a\n", "-a", "_a", ".a", "a" * 129, "a b", "a/b", "a|b", "a,b", "a%", "a*", "a'b"),
        *("\uff41", "\u00f6", "a\0", "a\u200b", True, False, None, 1.0, -1, 10**128, [], ["a"], {}, {"id": "a"}),
    ],
    "uuid": [
        *("", "acme", UUID[:-1], UUID + "0", f"{{{UUID}}}", f"urn:uuid:{UUID}", f" {UUID}", f"{UUID}\n"),
        *(UUID.replace("-", "", 1), UUID.replace("0", "\u0660", 1), "g" * 32, int("1" * 32), True, None, [UUID]),
    ],
    "integer": [
        *("", "acme", "-1", "+1", "1.0", " 1", "1 ", "1\n", "1_000", "0x1", "1e3", "\u0661", "\u00b2"),
        *(str(LARGEST + 1), LARGEST + 1, -1, 1.0, True, False, None, "0" * 129, [1]),
    ],
}


@pytest.mark.parametrize(("case", "expected"), CANONICAL.items(), ids=repr)
def test_an_id_is_read_in_every_accepted_spelling(case, expected) -> None:
    id_type, value = case
    assert canonical_tenant(value, id_type) == expected
    assert canonical_tenant(expected, id_type) == expected


@pytest.mark.parametrize(
    ("id_type", "value"), [(kind, value) for kind, values in MALFORMED.items() for value in values], ids=repr
)
def test_a_value_of_another_type_is_malformed(id_type, value) -> None:
    assert canonical_tenant(value, id_type) is None


@given(st.sampled_from(["text", "uuid", "integer"]), st.text() | st.uuids().map(str) | st.integers())
def test_a_canonical_spelling_is_its_own_and_safe_wherever_it_is_written(id_type, value) -> None:
    """In an address, in a header, and in the signed context, whose fields a bar separates."""
    spelled = canonical_tenant(value, id_type)
    if spelled is not None:
        assert canonical_tenant(spelled, id_type) == spelled
        assert spelled.isascii()
        assert spelled.isprintable()
        assert not set(spelled) & set(' |/\\"%?#,;<>')


@pytest.mark.parametrize(
    ("id_type", "stored", "claimed"),
    [
        ("text", "org_9ybsU1dN2dKfDkBi", "org_9ybsU1dN2dKfDkBi"),
        ("text", "4711", 4711),
        ("uuid", UUID, UUID.upper()),
        ("uuid", UUID, [UUID.replace("-", "")]),
        ("integer", "7", 7),
        ("integer", "7", "007"),
    ],
)
def test_every_spelling_of_a_claim_leads_to_the_one_tenant_of_the_registry(stack, admin, id_type, stored, claimed):
    with tenants_of(admin, [(stored, True)]), resolver(stack, id_type=id_type) as tenancy:
        assert tenancy.tenant(access_token(tenant_id=json.loads(json.dumps(claimed)))) == stored
        admin.execute("INSERT INTO tenancy.user_tenants VALUES ('https://id.test', 'mapped', %s)", (stored,))
        assert tenancy.tenant(access_token("mapped", tenant_id=claimed)) == stored
        assert tenancy.tenant(access_token("mapped")) == stored


def test_text_ids_that_differ_in_letter_case_are_different_tenants(stack, admin) -> None:
    with registry(admin, Acme=True), resolver(stack) as tenancy:
        assert tenancy.tenant(access_token(tenant_id="Acme")) == "Acme"
        assert tenancy.refusal(access_token(tenant_id="acme"))[1]["tenant"] == "acme"


@pytest.mark.parametrize(("id_type", "stored"), [("uuid", UUID.upper()), ("integer", "007"), ("uuid", "acme")])
def test_a_row_of_the_registry_in_another_spelling_lets_nobody_in(stack, admin, id_type, stored) -> None:
    """Two spellings of one tenant would be signed, counted and compared as two."""
    with tenants_of(admin, [(stored, True)]), resolver(stack, id_type=id_type) as tenancy:
        admin.execute("INSERT INTO tenancy.user_tenants VALUES ('https://id.test', 'mapped', %s)", (stored,))
        told, line = tenancy.refusal(access_token("mapped"))
        assert "not active on this server" in told
        assert "not the canonical one" in line["reason"]
        assert line["tenant"] == stored
        assert "address" in tenancy.refusal(access_token("mapped"), stored)[0]


@pytest.mark.parametrize("id_type", ["uuid", "integer"])
@pytest.mark.parametrize("claimed", ["broker-a", [], {}, 1.5, True])
def test_a_claim_of_another_type_is_malformed_or_names_no_tenant(stack, id_type, claimed) -> None:
    with resolver(stack, id_type=id_type) as tenancy:
        told, line = tenancy.refusal(access_token(tenant_id=claimed))
        assert ("malformed tenant" in told and line["claim"] == "tenant_id") or claimed == []
