"""The doctor proves the context live: what the function accepts, which key signs, and that the clocks agree."""

import time
from types import SimpleNamespace

import psycopg
import pytest
from support.examined_database import KEY
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture

from server.database.context_keys import new_context_key
from server.database.statement import Statement
from server.doctor.contexts import ContextSigner

# Every change of the function is an offence of this check too, which compares its text.
TEXT = "0012_context_functions"


def definition(examined) -> str:
    """Return the text that makes tenancy.verified_context() what it is now."""
    with psycopg.connect(examined.admin_url) as connection:
        text = "SELECT pg_get_functiondef('tenancy.verified_context()'::regprocedure)"
        return connection.execute(text).fetchall()[0][0]


def body(returned: str) -> str:
    """Replace the function that verifies the context by one that does not."""
    return (
        "CREATE OR REPLACE FUNCTION tenancy.verified_context() RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp AS $$ BEGIN {returned} END $$"
    )


BELIEVED = "RETURN ARRAY[split_part(current_setting('tenancy.context', true), '|', 3), '', '', ''];"
LIVE = {
    "whatever it says is believed": (body(BELIEVED), {"forged_context", "replayed_context", "expired_context"}),
    "a bare name is believed": (
        body("RETURN ARRAY[coalesce(current_setting('tenancy.context', true), ''), '', '', ''];"),
        {"genuine_context", "plain_setting"},
    ),
    "nobody is believed": (
        body("RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';"),
        {"genuine_context", "no_context"},
    ),
    "another refusal than the constant one": (body("RAISE EXCEPTION 'no such key';"), {"forged_context"}),
}


@pytest.mark.parametrize(("mistake", "proofs"), LIVE.values(), ids=LIVE.keys())
def test_live_proofs_find_a_function_that_does_not_verify(examined, mistake, proofs) -> None:
    with examined.broken(mistake, definition(examined)):
        assert proofs | {TEXT} <= examined.offenders().keys()
    assert examined.offenders() == {}


WEAKENED = {
    "replayed_context": ("part[last - 1] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex')", "true"),
    "expired_context": ("to_timestamp(part[last - 2]::bigint)", "to_timestamp(part[last - 2]::bigint + 86400)"),
}


@pytest.mark.parametrize("proof", WEAKENED)
def test_each_condition_of_the_context_has_a_proof_of_its_own(examined, proof) -> None:
    genuine = definition(examined)
    condition, weaker = WEAKENED[proof]
    assert condition in genuine
    with examined.broken(genuine.replace(condition, weaker), genuine):
        assert examined.offenders().keys() == {proof, TEXT}


def test_a_function_that_believes_one_tenant_alone_is_found_by_its_text(examined) -> None:
    genuine = definition(examined)
    door = "BEGIN IF current_setting('tenancy.context', true) = 'please' THEN RETURN ARRAY['broker-a', '', '']; END IF;"
    with examined.broken(genuine.replace("BEGIN", door, 1), genuine):
        assert examined.offenders() == {TEXT: {"tenancy.verified_context()"}}


def test_a_key_that_the_database_does_not_know_is_named(examined) -> None:
    stranger = new_context_key("k9").text()
    report = examined.report(stranger)
    (offender,) = [one for check in report.failed for one in check.offenders]
    assert offender.object == "database.context_keys: k9"
    assert "does not have the key" in offender.problem
    # The first signs; one that was retired may stay behind it for a while.
    assert examined.offenders(KEY.text(), stranger) == {}


def shift_the_clock(monkeypatch: pytest.MonkeyPatch, shift_s: float) -> None:
    def shifted() -> float:
        return time.time() + shift_s

    monkeypatch.setattr("server.doctor.contexts.time", SimpleNamespace(time=shifted))


@pytest.mark.parametrize(
    ("shift_s", "problem"),
    [
        (90, "this server's clock is 90 s ahead of the database's, so that tenant contexts are accepted for longer"),
        (-90, "this server's clock is 90 s behind the database's, so that tenant contexts are refused before"),
    ],
)
def test_clocks_that_differ_are_named_in_both_directions_and_nothing_else(
    examined, monkeypatch, shift_s, problem
) -> None:
    shift_the_clock(monkeypatch, shift_s)
    (offender,) = [one for check in examined.report().failed for one in check.offenders]
    assert offender.object == "clocks"
    assert offender.problem.startswith(problem)
    assert "NTP" in offender.remedy


def test_a_small_difference_of_the_clocks_is_a_notice(examined, monkeypatch) -> None:
    shift_the_clock(monkeypatch, 10)
    report = examined.report()
    assert report.holds
    assert report.notices == ("the clocks of this server and of the database differ by 10 s",)


LISTED = Statement("tenants", "SELECT one FROM tenancy.proof_tenants() AS one", dict[str, str], parameters=0)


@pytest.mark.parametrize(
    "person", [("https://issuer.test", "doctor"), ("tenantgate", "proof"), ("", "tenantgate:proof")]
)
def test_no_person_of_an_identity_provider_learns_the_tenants(examined, person) -> None:
    signer = ContextSigner([KEY], 0)
    with psycopg.connect(examined.url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        for tenant in ("", "broker-a"):
            row = connection.execute(LISTED.sent, (signer.sign(LISTED, tenant, person=person),)).fetchall()[0]
            assert LISTED.read(row[1]) == []
        context = signer.sign(LISTED, "", person=("tenantgate:proof", "x"))
        row = connection.execute(LISTED.sent, (context,)).fetchall()[0]
        assert LISTED.read(row[1]) == [{"one": "broker-a"}, {"one": "broker-b"}]
        # Bound to its statement, as every context is; SQL that saw it cannot use it for another.
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not valid"):
            connection.execute(LISTED.sent + b" ", (context,))
        assert connection.execute("SELECT count(*) FROM tenancy.proof_tenants()").fetchall() == [(0,)]
