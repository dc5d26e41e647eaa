"""A signed tenant context is good for one tenant, one person, one statement and one minute, and for nothing else."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from psycopg import RawCursor
from support.sql_outcome import REFUSAL

from server.database.context_keys import CONTEXT_LIFETIME_S, new_context_key, parse_context_key
from server.database.statement import Statement
from server.dev.stack import Stack

COUNT = Statement("count_claims", "SELECT count(*) AS claims FROM app.claims WHERE status <> $1::text", dict[str, int])
WHO = Statement(
    "who",
    "SELECT tenancy.current_issuer() AS issuer, tenancy.current_subject() AS subject, $1::text AS tier",
    dict[str, str],
)
EMMA = ("https://issuer.test", "emma")


@dataclass(frozen=True)
class Signer:
    """Signs as the server does, and runs what it signed as the login."""

    connection: psycopg.Connection[Any]
    key: Any

    def sign(self, statement: Statement[Any] = COUNT, **other: Any) -> str:
        parts = {"person": EMMA, "tenant": "broker-b", "tier": "", "expiry_s": int(time.time()) + CONTEXT_LIFETIME_S}
        return self.key.sign(**parts | {"digest": statement.digest} | other)

    def run(self, context: str, statement: Statement[Any] = COUNT) -> tuple[Any, ...]:
        return self.connection.execute(statement.sent, ("", context)).fetchall()[0]

    def refused(self, text: str | bytes, parameters: tuple[str, ...] | None = None) -> bool:
        sent = text if isinstance(text, bytes) else text.encode()
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            self.connection.execute(sent, parameters)
        return caught.value.diag.message_primary == REFUSAL


@pytest.fixture
def signer(stack: Stack) -> Iterator[Signer]:
    url = stack.addresses.database_url
    with psycopg.connect(url, autocommit=True, cursor_factory=RawCursor) as connection:
        yield Signer(connection, stack.settings.database.signing_keys()[0])


def test_a_genuine_context_shows_its_tenants_rows(signer) -> None:
    assert signer.run(signer.sign()) == ("broker-b", '[{"claims":2}]')
    assert signer.run(signer.sign(tenant="broker-a")) == ("broker-a", '[{"claims":3}]')


CHANGED: dict[str, Callable[[str], str]] = {
    "another tenant": lambda context: context.replace("broker-b", "broker-a"),
    "no tenant": lambda context: context.replace("broker-b", ""),
    "another version": lambda context: context.replace("v3|", "v2|"),
    "a later expiry": lambda context: context.replace("||1", "||2"),
    "the last digit": lambda context: context[:-1] + ("1" if context[-1] == "0" else "0"),
    "capitals": lambda context: context.upper(),
    "a letter less": lambda context: context[:-1],
    "a letter more": lambda context: context + "0",
    "a blank more": lambda context: context + " ",
    "a line feed more": lambda context: context + "\n",
    "a part less": lambda context: context.rpartition("|")[0],
    "a part more": lambda context: context + "|",
    "only bars": lambda _context: "|" * 8,
    "no bar": lambda _context: "broker-b",
    "no key": lambda context: context.replace("|dev|", "||"),
    "an unknown key": lambda context: context.replace("|dev|", "|k99|"),
    "a signature that is no hexadecimal": lambda context: context[:-64] + "\u00e9" * 64,
    "no signature": lambda context: context[:-64],
    "a kilobyte": lambda context: context.rjust(1025, "v"),
    "a megabyte": lambda _context: "v3|dev|" + "x" * 1_000_000,
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_a_changed_context_is_refused_with_the_one_constant_sentence(signer, change) -> None:
    changed = change(signer.sign())
    assert changed != signer.sign()
    assert signer.refused(COUNT.sent, ("", changed))


def test_the_refusal_says_nothing_of_its_reason(signer) -> None:
    def told(context: str) -> tuple[Any, ...]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            signer.run(context)
        diag = caught.value.diag
        return diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint, diag.context

    reasons = [signer.sign(expiry_s=1), signer.sign(digest="0" * 64), "x", signer.sign().replace("dev", "k9")]
    assert len({told(context) for context in reasons}) == 1


def test_a_context_ends_with_its_minute(signer) -> None:
    assert signer.refused(COUNT.sent, ("", signer.sign(expiry_s=int(time.time()))))
    assert signer.run(signer.sign(expiry_s=int(time.time()) + 2))[0] == "broker-b"


def test_a_context_of_another_secret_is_refused(signer) -> None:
    stranger = Signer(signer.connection, new_context_key(signer.key.kid))
    assert signer.refused(COUNT.sent, ("", stranger.sign()))


TEXT = COUNT.text
QUOTED = TEXT.replace("'", "''")
REPLAYS = {
    "with the values in the text": [TEXT.replace("$1", "''").replace("$2", "'{context}'")],
    "two statements at once": [
        "SELECT set_config('tenancy.context', '{context}', false); SELECT claim_number FROM app.claims"
    ],
    "prepared in SQL": [f"PREPARE replay (text, text) AS {TEXT}", "EXECUTE replay ('', '{context}')"],
    "explained": [f"EXPLAIN ANALYZE {TEXT}".replace("$1", "''").replace("$2", "'{context}'")],
    "in a block": [
        f"DO $$ DECLARE n text; BEGIN EXECUTE '{QUOTED}' INTO n USING '', '{{context}}'; RAISE WARNING '%', n; END $$"
    ],
    "in a cursor": [
        "BEGIN",
        f"DECLARE replay CURSOR FOR {TEXT}".replace("$1", "''").replace("$2", "'{context}'"),
        "FETCH ALL replay",
    ],
    "set for the session, then another text": [
        "SELECT set_config('tenancy.context', '{context}', false)",
        "SELECT claim_number FROM app.claims",
    ],
}


@pytest.mark.parametrize(
    "text",
    [f"{TEXT} ", f"{TEXT} -- the same", f"{TEXT};", TEXT.replace("count(*)", "COUNT(*)"), TEXT.replace("<>", "=")],
    ids=["a blank more", "a comment more", "a semicolon more", "capitals", "another operator"],
)
def test_a_captured_context_is_refused_with_nearly_the_same_text(signer, text) -> None:
    context = signer.sign()
    assert signer.refused(text, ("", context))
    assert signer.run(context)[0] == "broker-b", "the capture is genuine"


@pytest.mark.parametrize("statements", REPLAYS.values(), ids=REPLAYS.keys())
def test_a_captured_context_is_refused_with_any_other_text(stack, signer, statements) -> None:
    context = signer.sign()
    with psycopg.connect(stack.addresses.database_url, autocommit=True) as attacker:
        for text in statements[:-1]:
            attacker.execute(text.replace("{context}", context).encode())
        assert Signer(attacker, signer.key).refused(statements[-1].replace("{context}", context))
    assert signer.run(context)[0] == "broker-b", "the capture is genuine"


def test_within_its_transaction_a_genuine_context_serves_its_own_statement_alone(signer) -> None:
    signer.connection.execute("BEGIN")
    assert signer.run(signer.sign())[0] == "broker-b"
    assert signer.connection.execute("SELECT current_setting('tenancy.context', true)").fetchall()[0][0] != ""
    assert signer.refused("SELECT claim_number FROM app.claims")
    signer.connection.execute("ROLLBACK")


def test_after_its_statement_the_context_is_gone(signer) -> None:
    """R84."""
    signer.run(signer.sign())
    assert signer.connection.execute("SELECT current_setting('tenancy.context', true)").fetchall() == [("",)]
    assert signer.connection.execute("SELECT claim_number FROM app.claims").fetchall() == []


def test_a_prepared_statement_that_was_swapped_under_the_server_reads_nothing(signer) -> None:
    """Whoever ran SQL on a pooled connection can leave another text behind a known name; it gets no row."""
    signer.connection.prepare_threshold = 0
    signer.run(signer.sign())
    (name,) = [
        row[0]
        for row in signer.connection.execute(
            "SELECT name FROM pg_prepared_statements WHERE statement ~ 'count_claims|context'", prepare=False
        ).fetchall()
    ]
    signer.connection.execute(f'DEALLOCATE "{name}"'.encode(), prepare=False)
    swapped = "SELECT set_config('tenancy.context', $2, true), (SELECT string_agg(claim_number, $1) FROM app.claims)"
    signer.connection.execute(f'PREPARE "{name}" (text, text) AS {swapped}'.encode(), prepare=False)
    assert signer.refused(COUNT.sent, ("", signer.sign()))


def test_a_context_without_a_tenant_sees_no_claim(signer) -> None:
    assert signer.run(signer.sign(tenant="")) == (None, '[{"claims":0}]')


@pytest.mark.parametrize(
    "subject", ["a\nb", "\n", "https://victim.test\nvictim", "x\nhttps://issuer.test\nemma", "é|'\\", "x" * 255]
)
def test_a_subject_of_any_characters_is_that_person_and_nobody_else(signer, subject) -> None:
    """R54: the issuer and the subject cannot run into each other."""
    context = signer.sign(WHO, person=("https://issuer.test", subject))
    answer = WHO.read(signer.run(context, WHO)[1])
    assert answer == [{"issuer": "https://issuer.test", "subject": subject, "tier": ""}]


def test_only_the_person_mapped_sees_the_mapping(stack, signer, admin) -> None:
    """R72: the same subject of another issuer is another person."""
    mine = Statement("mine", "SELECT tenant_id, $1::text AS x FROM tenancy.user_tenants", dict[str, str])
    mike = next(one["sub"] for one in stack.addresses.people if one["name"] == "mike-broker-a")

    def seen(issuer: str, subject: str) -> list[dict[str, str]]:
        return mine.read(signer.run(signer.sign(mine, person=(issuer, subject), tenant=""), mine)[1])

    assert seen(stack.addresses.issuer, mike) == [{"tenant_id": "broker-a", "x": ""}]
    assert seen("https://issuer.test", mike) == []
    assert seen(stack.addresses.issuer, "nobody") == []
    assert len(admin.execute("SELECT FROM tenancy.user_tenants").fetchall()) > 1


def test_the_policy_calls_the_context_once_a_statement_and_keeps_the_index(signer) -> None:
    text = f"EXPLAIN (FORMAT JSON) {TEXT}"
    context = signer.sign(digest=sha256(text.encode()).hexdigest())
    signer.connection.execute("SET enable_seqscan = off")
    plan = str(signer.connection.execute(text.encode(), ("", context)).fetchall()[0][0])
    assert "'Index Cond': '(tenant_id = (InitPlan" in plan


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("k1", "32 bytes"),
        ("K1:AAAA", "lower-case"),
        ("k1:%%", "base64"),
        ("k1:AAAA", "32 bytes"),
        (":AAAA", "key id"),
        ("k" * 33 + ":AAAA", "key id"),
    ],
)
def test_a_malformed_key_is_named_without_its_secret(text, problem) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_context_key(text)
    assert "AAAA" not in str(caught.value)


def test_a_key_does_not_print_its_secret() -> None:
    key = new_context_key("k1")
    assert "secret" not in repr(key)
    assert parse_context_key(key.text()) == key
