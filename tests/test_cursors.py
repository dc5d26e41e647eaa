"""R162: a page cursor says nothing to its holder, has one spelling, and serves one person, tenant and request."""

import base64
import string
import time

import pytest

from server.database.context_keys import new_context_key
from server.database.cursors import Cursors
from server.database.statement import Principal
from server.derived_keys import derived
from server.errors import ArgumentsError

OLD, NEW = new_context_key("k1"), new_context_key("k2")
CURSORS = Cursors([NEW, OLD])
MIKE = Principal("https://issuer.test", "mike", "broker-a", "regular")
REQUEST = 'query_claims 0123456789abcdef [{"sort":"filed_at"},{}]'
POSITION = ("2026-11-26 10:00:00.123456+00", "48151623")


def sealed_bytes(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def refused(cursor: str, request: str = REQUEST, principal: Principal = MIKE, cursors: Cursors = CURSORS) -> bool:
    with pytest.raises(ArgumentsError, match="does not belong to this request or has expired"):
        cursors.open(cursor, request, principal)
    return True


@pytest.mark.parametrize(
    "position", [POSITION, ("1",), (None, "1"), ("", ""), ('Ünïcødé \U0001f600 \x01"\\', "7"), ("   ", " 1 ")]
)
def test_a_cursor_gives_its_position_back(position) -> None:
    assert CURSORS.open(CURSORS.seal(position, REQUEST, MIKE), REQUEST, MIKE) == position


def test_a_cursor_shows_neither_its_position_nor_how_long_a_key_is() -> None:
    """A key may come from a sequence of all tenants: its growth would say how many rows others insert."""
    content = sealed_bytes(CURSORS.seal(POSITION, REQUEST, MIKE))
    assert not any(one.encode() in content for one in (*POSITION, "2026", "4815", "broker", "mike"))
    lengths = {len(CURSORS.seal((POSITION[0], str(10**digits)), REQUEST, MIKE)) for digits in range(20)}
    assert len(lengths) == 1
    # Two that follow each other have nothing in common.
    one, next_one = (sealed_bytes(CURSORS.seal((POSITION[0], key), REQUEST, MIKE)) for key in ("1", "2"))
    assert sum(a == b for a, b in zip(one, next_one, strict=True)) < len(one) // 8


def test_a_cursor_has_one_spelling() -> None:
    cursor = CURSORS.seal(POSITION, REQUEST, MIKE)
    others = [cursor + tail for tail in ("=", "==", "A", "\n", " ", ".", "é", "\ud800", "%3D", cursor)]
    others += [head + cursor for head in (" ", "A", "=", "\ufeff")]
    others += [cursor[:-1], cursor[:20], "", cursor[:9] + "!" + cursor[9:], cursor.lower(), cursor.swapcase()]
    others += [cursor.replace("-", "+").replace("_", "/") + "="]
    alphabet = string.ascii_letters + string.digits + "-_"
    others += [cursor[:-1] + last for last in alphabet if last != cursor[-1]]
    for place in range(0, len(cursor), 7):
        others.append(cursor[:place] + alphabet[(alphabet.index(cursor[place]) + 1) % 64] + cursor[place + 1 :])
    assert all(refused(other) for other in others if other != cursor)


def test_a_cursor_serves_its_own_person_tenant_and_request_alone() -> None:
    cursor = CURSORS.seal(POSITION, REQUEST, MIKE)
    for other in (
        Principal("https://other.test", "mike", "broker-a", "regular"),
        Principal("https://issuer.test", "john", "broker-a", "regular"),
        Principal("https://issuer.test", "mike", "broker-b", "regular"),
        Principal("https://issuer.test", "mike", None, "regular"),
    ):
        assert refused(cursor, principal=other)
    assert refused(cursor, request=REQUEST.replace("filed_at", "amount"))
    assert refused(cursor, request="summarize" + REQUEST)


def test_a_cursor_of_a_retired_key_or_of_yesterday_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = Cursors([OLD]).seal(POSITION, REQUEST, MIKE)
    assert CURSORS.open(cursor, REQUEST, MIKE) == POSITION
    assert refused(cursor, cursors=Cursors([NEW]))
    later = time.time() + 3_601
    monkeypatch.setattr(time, "time", lambda: later)
    assert refused(cursor)


def test_the_key_of_cursors_is_no_other_key() -> None:
    key = derived(NEW.secret, b"tenantgate cursor v2", 64)
    assert NEW.secret not in key
    assert derived(NEW.secret, b"another purpose", 64)[:32] not in key


def test_a_position_that_is_too_long_for_a_cursor_is_refused_and_any_other_fits_the_argument() -> None:
    for length in range(1_900, 2_400, 20):
        try:
            cursor = CURSORS.seal(("x" * length, "1"), REQUEST, MIKE)
        except ArgumentsError as error:
            assert "too long for a cursor" in str(error)  # noqa: PT017  # either may happen
            assert length > 2_000
        else:
            assert len(cursor) <= 3_000
