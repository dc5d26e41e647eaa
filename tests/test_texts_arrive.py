"""Texts arrive as they are: ends of lines are LF, only what could harm is replaced, and letter case is ignored."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import RawCursor, sql
from support.examined_database import Examined
from test_session_settings import database_with

from server.catalog.letter_case import ASCII, folded, read_letter_case
from server.catalog.loading import load_catalog
from server.catalog.texts import printable, readable
from server.dev.sample import SAMPLE_DOCUMENTS
from server.dev.stack import Stack
from server.doctor.examination import examine


@contextmanager
def one_claim(admin: psycopg.Connection, number: str, customer: str, description: str) -> Generator[None]:
    admin.execute(
        "INSERT INTO app.claims (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, "
        "filed_at, description) VALUES ('broker-a', %s, %s, 1, 'open', 'auto', now(), %s)",
        (number, customer, description),
    )
    try:
        yield
    finally:
        admin.execute("DELETE FROM app.claims WHERE claim_number = %s", (number,))


TEXTS = {
    "case 03: CR LF": ("Line one\r\nLine two", "Line one\nLine two"),
    "case 03: a lone CR": ("Line one\rLine two", "Line one\nLine two"),
    "case 03: form feed and vertical tab": ("Page 1\fPage 2\vend", "Page 1\nPage 2\nend"),
    "case 03: CR LF CR LF": ("a\r\n\r\nb", "a\n\nb"),
    "LF CR": ("a\n\rb", "a\n\nb"),
    "tabs and LF stay": ("a\tb\nc", "a\tb\nc"),
    "spaces and separators of lines of Unicode stay": ("a\u00a0b\u2028c\u3000d", "a\u00a0b\u2028c\u3000d"),
    "soft hyphens and joiners stay": ("co\u00adop \u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f469",) * 2,
    "what could harm": ("a\x00b\x1b[2Jc\x7fd\x85e\u202ef\u2066g\ud800h".replace("\x00", "\x01"), "a�b�[2Jc�d�e�f�g�h"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_out_of_a_row_or_a_document_is_made_readable_and_no_more(name) -> None:
    text, expected = TEXTS[name]
    assert readable(text) == expected


def test_case_03_a_description_with_every_end_of_a_line_has_lf(caller, admin) -> None:
    with one_claim(admin, "CLM-CRLF", "A Person", "Line one\r\nLine two\rthree\ffour\vfive"):
        found = caller("mike-broker-a").answer("query_claims", claim_number="CLM-CRLF")
    assert [claim["description"] for claim in found["claims"]] == ["Line one\nLine two\nthree\nfour\nfive"]


@pytest.mark.skipif(not SAMPLE_DOCUMENTS.is_dir(), reason="the sample's documents are not here")
@pytest.mark.parametrize("end", ["\r\n", "\r", "\f", "\v"])
def test_case_03_a_question_with_ends_of_lines_is_searched_as_with_lf(caller, end) -> None:
    john = caller("john-regular")
    asked, plain = (f"deductible{one}auto insurance" for one in (end, "\n"))
    assert john.answer("search_policies", query=asked) == john.answer("search_policies", query=plain)


@pytest.mark.parametrize("harmful", ["\x00", "\x1b", "\x85", "\u202e", "\u2066"])
def test_a_question_with_what_could_harm_is_refused(harmful) -> None:
    with pytest.raises(ValueError, match="control characters"):
        printable(f"a\r\n{harmful}b")


# What is asked for, and what is found in a row, in either direction.
SAME = {
    "case 18: German": ("müller", "MÜLLER"),
    "Greek": ("σίσυφο", "ΣΊΣΥΦΟΣ"),
    "Russian": ("иванов", "ИВАНОВ"),
    "Polish": ("łódź", "ŁÓDŹ"),
    "Romanian": ("ștefan", "ȘTEFAN"),
    "plain": ("smith", "SMITH & Sons"),
}


@pytest.fixture(scope="module")
def database_of_locale_c(stack: Stack) -> Generator[Examined]:
    with database_with(stack.admin_url, stack.addresses.database_url, "LOCALE_PROVIDER libc LOCALE 'C'") as found:
        yield found


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("candidate", [0, 1])
def test_letter_case_is_ignored_in_a_database_of_locale_c(database_of_locale_c, monkeypatch, name, candidate) -> None:
    """By each way that this server knows; the ones with ICU are tried on a server that has it."""
    from server.catalog import letter_case

    ways = letter_case._CANDIDATES
    monkeypatch.setattr(letter_case, "_CANDIDATES", (ways[candidate],))
    assert finds(database_of_locale_c.admin_url, ways[candidate], *SAME[name])


def finds(url: str, way: str, asked: str, held: str) -> bool:
    with psycopg.connect(url, cursor_factory=RawCursor, autocommit=True) as connection:
        assert read_letter_case(connection) == way
        question = sql.SQL("SELECT position({} in {}) > 0").format(
            folded(sql.SQL("$1::text"), way), folded(sql.SQL("$2::text"), way)
        )
        forward, back = ((asked, held), (held[: len(asked)], asked))
        return all(connection.execute(question, pair).fetchall()[0][0] for pair in (forward, back))


def test_case_18_a_customer_is_found_in_any_letter_case(caller, admin) -> None:
    with one_claim(admin, "U1", "MÜLLER", "x"), one_claim(admin, "U2", "Νίκος Müller", "x"):
        for asked in ("müller", "MüLLER", "Müller"):
            found = caller("mike-broker-a").answer("query_claims", customer_name=asked)
            assert {claim["claim_number"] for claim in found["claims"]} == {"U1", "U2"}


def test_case_18_doctor_says_that_a_database_knows_no_letters_beyond_a_to_z(stack, monkeypatch) -> None:
    settings = stack.settings
    catalog = load_catalog(settings.catalog)
    assert not any("letter case" in one for one in examine(settings, catalog).notices)
    monkeypatch.setattr("server.catalog.letter_case._CANDIDATES", ("C", "no-such-collation"))
    report = examine(settings, catalog)
    assert report.holds
    assert {one.letter_case for one in report.facts.values()} == {ASCII}
    assert sum("only for a to z" in one for one in report.notices) == 1
