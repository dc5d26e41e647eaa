"""A person with several tenants chooses one by its address; the token and the registry decide whether it is theirs."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tenancy import ISSUER, RESOURCE, Resolver, access_token, registry, resolver, tenants_of

from server.dev.stack import Stack
from server.errors import UnavailableError

FOREIGN = "This address does not belong to one of your tenants; correct it, or ask your administrator."
INACTIVE = "Your tenant is not active on this server; ask your administrator to activate it."
DIFFERENT = (
    "Your access token and this server's registry give you different tenants; ask your administrator to make them "
    "agree."
)
NO_TENANT = "Your account belongs to no tenant; ask your administrator to assign your account to one."


def several(*tenants: str) -> str:
    listed = ", ".join(f"{RESOURCE}/t/{tenant}" for tenant in tenants)
    return f"You have several tenants; connect to the address of one of them: {listed}."


@pytest.fixture(scope="module")
def tenancy(stack: Stack) -> Iterator[Resolver]:
    with resolver(stack) as one:
        yield one


@pytest.fixture
def known(admin: psycopg.Connection[Any]) -> Iterator[None]:
    """Tenants a, b, c are active, x is not; the people are named after what they are mapped to."""
    mappings = [("to-a", "a"), ("to-ab", "a"), ("to-ab", "b"), ("to-x", "x"), ("to-ax", "a"), ("to-ax", "x")]
    with registry(admin, *mappings, a=True, b=True, c=True, x=False):
        yield


# (who, what the token claims or None, which address) to the tenant, or to the words of the refusal.
CASES: list[tuple[str, Any, str | None, str]] = [
    # By the registry alone.
    ("nobody", None, None, NO_TENANT),
    ("nobody", None, "a", FOREIGN),
    ("to-a", None, None, "a"),
    ("to-a", None, "a", "a"),
    ("to-a", None, "b", FOREIGN),
    ("to-ab", None, None, several("a", "b")),
    ("to-ab", None, "a", "a"),
    ("to-ab", None, "b", "b"),
    ("to-ab", None, "c", FOREIGN),
    ("to-x", None, None, INACTIVE),
    ("to-x", None, "x", FOREIGN),
    # One of two is not active: the person still chooses, so that nothing moves when a tenant is switched off.
    ("to-ax", None, None, several("a")),
    ("to-ax", None, "a", "a"),
    ("to-ax", None, "x", FOREIGN),
    # By the token alone: the registry knows no mapping of this person.
    ("nobody", "a", None, "a"),
    ("nobody", ["a"], "a", "a"),
    ("nobody", ["a"], "b", FOREIGN),
    ("nobody", ["a", "b"], None, several("a", "b")),
    ("nobody", ["a", "b"], "b", "b"),
    ("nobody", ["a", "b"], "c", FOREIGN),
    ("nobody", ["a", "x", "unknown"], None, several("a")),
    ("nobody", ["a", "x", "unknown"], "x", FOREIGN),
    ("nobody", ["a", "x", "unknown"], "unknown", FOREIGN),
    (
        "nobody",
        ["x", "unknown"],
        None,
        "None of your tenants is active on this server; ask your administrator to activate one.",
    ),
    ("nobody", "x", None, INACTIVE),
    ("nobody", "unknown", None, INACTIVE),
    ("nobody", [], None, NO_TENANT),
    ("nobody", [], "a", FOREIGN),
    # By both: what is in both.
    ("to-a", "a", None, "a"),
    ("to-a", "b", None, DIFFERENT),
    ("to-a", "b", "b", FOREIGN),
    ("to-a", "b", "a", FOREIGN),
    ("to-a", [], None, NO_TENANT),
    ("to-a", [], "a", FOREIGN),
    ("to-a", ["a", "b"], None, "a"),
    ("to-a", ["a", "b"], "a", "a"),
    ("to-a", ["a", "b"], "b", FOREIGN),
    ("to-a", ["b", "c"], None, DIFFERENT),
    ("to-ab", "a", None, "a"),
    ("to-ab", "a", "b", FOREIGN),
    ("to-ab", "c", None, DIFFERENT),
    ("to-ab", "c", "c", FOREIGN),
    ("to-ab", ["a", "b", "c"], None, several("a", "b")),
    ("to-ab", ["a", "b", "c"], "c", FOREIGN),
    ("to-ab", ["b", "c"], None, "b"),
    ("to-ax", ["a", "x"], None, several("a")),
    ("to-ax", ["x"], None, INACTIVE),
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_token_the_registry_and_the_address_lead_to_one_tenant_or_to_a_refusal(tenancy, known, case) -> None:
    who, claimed, asked, expected = case
    token = access_token(who, **({} if claimed is None else {"tenant_id": claimed}))
    if expected in {"a", "b", "c"}:
        assert tenancy.tenant(token, asked) == expected
        assert tenancy.tenant(token, asked, required=False) == expected
    else:
        told, line = tenancy.refusal(token, asked)
        assert told == expected
        assert line["event"] == "tenant refused"
        assert (line["issuer"], line["subject"]) == (ISSUER, who)
        assert line["reason"]


@pytest.mark.parametrize("case", [case for case in CASES if "tenant" in case[3]], ids=repr)
def test_a_tool_without_a_tenant_answers_a_person_without_one_and_nobody_else(tenancy, known, case) -> None:
    """`whoami`: so that a person can tell their administrator. A wrong address is refused all the same."""
    who, claimed, asked, expected = case
    token = access_token(who, groups=["regular"], **({} if claimed is None else {"tenant_id": claimed}))
    if expected in {INACTIVE, DIFFERENT, FOREIGN}:
        assert tenancy.refusal(token, asked, required=False)[0] == expected
    else:
        context = tenancy.context(token, asked, required=False)
        assert (context.tenant, context.tier, context.token) == (None, "regular", token)


@pytest.mark.parametrize("asked", ["b", "x", "unknown", "", "..", "a b", "a\n", "A", "*", "a" * 200, "\r\nx-evil: 1"])
def test_unknown_inactive_malformed_and_foreign_addresses_are_answered_alike(tenancy, known, asked) -> None:
    """R70: byte for byte; the log alone knows the difference."""
    for token in (access_token("to-a"), access_token("nobody", tenant_id=["a"]), access_token("nobody")):
        told, line = tenancy.refusal(token, asked)
        assert told == FOREIGN
        assert line["tenant"] == asked[:128]


def test_the_log_says_why_an_address_was_refused(tenancy, known) -> None:
    def reason(who: str, asked: str, **claims: Any) -> str:
        return tenancy.refusal(access_token(who, **claims), asked)[1]["reason"]

    assert reason("to-a", "b") == "the address names a tenant that the person is not mapped to"
    assert reason("to-x", "x") == "the tenant is unknown or not active"
    assert reason("nobody", "b", tenant_id="a") == "the address names a tenant that the token does not"
    assert reason("to-a", "a b") == "the address names no tenant id of the type text"


@pytest.mark.parametrize(("type_", "asked"), [("uuid", "0F8FAD5BD9CB469FA16570867728950E"), ("integer", "0042")])
def test_an_address_in_another_spelling_leads_to_the_same_tenant(stack, admin, type_, asked) -> None:
    tenant = {"uuid": "0f8fad5b-d9cb-469f-a165-70867728950e", "integer": "42"}[type_]
    with tenants_of(admin, [(tenant, True), ("1", True)]), resolver(stack, id_type=type_) as tenancy:
        admin.execute("INSERT INTO tenancy.user_tenants VALUES (%s, 'one', %s)", (ISSUER, tenant))
        assert tenancy.tenant(access_token("one"), asked) == tenant
        assert tenancy.refusal(access_token("one"), "acme")[0] == FOREIGN
        assert tenancy.refusal(access_token("one"), asked.replace("4", "5"))[0] == FOREIGN


def test_a_person_with_very_many_tenants_reads_twenty_addresses_and_reaches_each(stack, admin) -> None:
    ids = [f"many-{number:03}" for number in range(130)]
    with tenants_of(admin, [(one, one != "many-000") for one in ids]), resolver(stack) as tenancy:
        admin.execute("INSERT INTO tenancy.user_tenants SELECT %s, 'many', unnest(%s::text[])", (ISSUER, ids))
        told, line = tenancy.refusal(access_token("many"))
        assert told == several(*ids[1:21]).removesuffix(".") + " and 109 more."
        assert "130 tenants" in line["reason"]
        assert tenancy.tenant(access_token("many"), "many-001") == "many-001"
        assert tenancy.tenant(access_token("many"), "many-129") == "many-129"
        for foreign in ("many-000", "broker-a", "many-130"):
            assert tenancy.refusal(access_token("many"), foreign)[0] == FOREIGN
        claimed = access_token("many", tenant_id=["many-129", "broker-a"])
        assert tenancy.tenant(claimed) == "many-129"
        assert tenancy.tenant(claimed, "many-129") == "many-129"
        assert tenancy.tenant(access_token("many", tenant_id="many-129")) == "many-129"


def test_a_token_with_very_many_tenants_gets_twenty_addresses_and_reaches_each(stack, admin) -> None:
    ids = [f"many-{number:03}" for number in range(60)]
    with tenants_of(admin, [(one, True) for one in ids]), resolver(stack) as tenancy:
        token = access_token(tenant_id=ids)
        assert tenancy.refusal(token)[0] == several(*ids[:20]).removesuffix(".") + " and 40 more."
        assert tenancy.tenant(token, "many-059") == "many-059"
        assert tenancy.refusal(token, "broker-a")[0] == FOREIGN
        # None of those that were looked up is the person's own; the only other one is not taken for the only one.
        admin.execute("INSERT INTO tenancy.user_tenants VALUES (%s, 'one', 'many-059')", (ISSUER,))
        assert "None of your tenants is active" in tenancy.refusal(access_token("one", tenant_id=ids[19:]))[0]
        assert tenancy.tenant(access_token("one", tenant_id=ids[19:]), "many-059") == "many-059"
        # One of those that were looked up is, and the other one may be too.
        admin.execute(
            "INSERT INTO tenancy.user_tenants VALUES (%s, 'two', unnest(%s::text[]))", (ISSUER, ids[19:60:40])
        )
        token = access_token("two", tenant_id=ids[19:])
        assert tenancy.refusal(token)[0] == several("many-019").removesuffix(".") + " and 1 more."


def test_without_a_look_up_only_the_token_counts(stack, admin) -> None:
    with registry(admin, ("mapped", "a"), a=True, b=True, x=False), resolver(stack, tenant_lookup=False) as tenancy:
        assert "names no tenant" in tenancy.refusal(access_token("mapped"))[0]
        assert tenancy.refusal(access_token("mapped"), "a")[0] == FOREIGN
        assert tenancy.tenant(access_token("mapped"), required=False) is None
        assert tenancy.tenant(access_token("mapped", tenant_id="b")) == "b"
        assert tenancy.tenant(access_token("mapped", tenant_id=["a", "b"]), "b") == "b"
        assert tenancy.refusal(access_token("mapped", tenant_id="x"))[0] == INACTIVE


def test_without_a_registry_the_token_alone_is_believed_and_nothing_is_looked_up(stack, admin) -> None:
    """Every well-formed tenant that the issuer names is served; each look-up would fail here."""
    with resolver(stack, registry=False, reachable=False) as tenancy:
        assert tenancy.tenant(access_token(tenant_id="never-registered")) == "never-registered"
        assert tenancy.tenant(access_token(tenant_id=["one", "two"]), "two") == "two"
        assert tenancy.refusal(access_token(tenant_id=["two", "one"]))[0] == several("one", "two")
        assert tenancy.refusal(access_token(tenant_id=["one", "two"]), "three")[0] == FOREIGN
        assert "names no tenant" in tenancy.refusal(access_token())[0]
        assert tenancy.refusal(access_token(), "one")[0] == FOREIGN
        assert "malformed" in tenancy.refusal(access_token(tenant_id="no tenant"))[0]
        assert tenancy.tenant(access_token(), required=False) is None
    with resolver(stack, reachable=False) as tenancy, pytest.raises(UnavailableError):
        tenancy.tenant(access_token(tenant_id="broker-a"))


def test_trying_many_addresses_asks_the_database_once(stack, tenancy, known) -> None:
    def asked() -> int:
        return len(tenancy.directory._entries)

    tenancy.tenant(access_token("to-ab"), "a")
    before = asked()
    for number in range(50):
        assert tenancy.refusal(access_token("to-ab"), f"guess-{number}")[0] == FOREIGN
        assert tenancy.refusal(access_token("nobody", tenant_id=["a"]), f"guess-{number}")[0] == FOREIGN
    assert asked() == before


def test_those_who_ask_about_one_person_at_once_share_an_answer_for_their_own_question(stack, tenancy, known) -> None:
    """One answer per person, tenant and source: none is given to another question."""
    questions = [("to-ab", None, "a"), ("to-ab", None, "b"), ("to-ab", ["a"], "a"), ("to-a", None, None)] * 5

    async def all_of_them() -> list[str | None]:
        tokens = [access_token(who, **({"tenant_id": claimed} if claimed else {})) for who, claimed, _ in questions]
        calls = [tenancy.tenancy.resolve(one, asked[2]) for one, asked in zip(tokens, questions, strict=True)]
        return [context.tenant for context in await asyncio.gather(*calls)]

    tenancy.directory._entries.clear()
    assert tenancy.runner.run(all_of_them()) == ["a", "b", "a", "a"] * 5
    assert len(tenancy.directory._entries) == 3


def model(claimed: list[str] | None, mapped: set[str], asked: str | None) -> str | None:
    """The rules, written a second time: the tenant, or None for a refusal."""
    own = mapped if claimed is None else (set(claimed) & mapped if mapped else set(claimed))
    if asked is not None:
        own = own & {asked}
    return next(iter(own)) if len(own) == 1 and own <= {"a", "b", "c"} else None


@given(
    claimed=st.none() | st.lists(st.sampled_from(["a", "b", "c", "x", "unknown"]), max_size=4),
    who=st.sampled_from(["nobody", "to-a", "to-ab", "to-x", "to-ax"]),
    asked=st.none() | st.sampled_from(["a", "b", "c", "x", "unknown", "not one"]),
)
@settings(max_examples=300)
def _agrees(tenancy: Resolver, claimed: list[str] | None, who: str, asked: str | None) -> None:
    mapped = {"to-a": {"a"}, "to-ab": {"a", "b"}, "to-x": {"x"}, "to-ax": {"a", "x"}}.get(who, set[str]())
    token = access_token(who, **({} if claimed is None else {"tenant_id": claimed}))
    expected = model(claimed, mapped, asked)
    if expected is not None:
        assert tenancy.tenant(token, asked) == expected
    else:
        tenancy.refusal(token, asked)


def test_nobody_gets_a_tenant_that_a_source_denies(tenancy, known) -> None:
    """Generated claims, mappings and addresses agree with the rules in one line each."""
    _agrees(tenancy)


def test_a_tenant_that_only_an_address_names_is_not_shown_to_anybody(tenancy, known) -> None:
    """R71: no context is signed for it, and what a claim was shown is not remembered for an address."""

    def found(subject: str, tenant: str, *, claimed: bool) -> tuple[int, set[str], set[str]]:
        entry = tenancy.runner.run(tenancy.directory.find(ISSUER, subject, tenant, claimed=claimed))
        return entry.mappings, set(entry.mapped), set(entry.active)

    assert found("nobody", "a", claimed=True) == (0, set(), {"a"})
    assert found("nobody", "a", claimed=False) == (0, set(), set())
    assert found("to-a", "b", claimed=True) == (1, {"a"}, {"a", "b"})
    assert found("to-a", "b", claimed=False) == (1, {"a"}, {"a"})
