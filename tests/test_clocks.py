"""A clock that is wrong is named, in both directions and with the difference: to the operator, and to nobody else."""

import asyncio
import json
import re
import time
from email.utils import formatdate
from typing import Any

import pytest
from support.gate import Served
from support.issuer import Issuer, answer, private_key
from support.logs import own_logs

from server.auth.times import NOTICED_S
from server.auth.verifier import TokenVerifier
from server.errors import TokenRefusedError
from server.settings import Settings

RESOURCE = "https://mcp.example.com/mcp"
EARLY = "{} is 300 s ahead of this server's clock"
AHEAD = "this server's clock is 7200 s ahead of the issuer's"
BEHIND = "this server's clock is 7200 s behind the issuer's"
AGREES = "this server's clock agrees with the issuer's"
# The issuer's clock beside this one, what the token's times are beside it too, and what the log says of the token.
CASES: dict[str, tuple[int | None, dict[str, int], str]] = {
    "iat ahead": (0, {"iat": 300, "exp": 900}, f"{EARLY.format('iat')}; {AGREES}"),
    "nbf ahead": (0, {"nbf": 300, "exp": 900}, f"{EARLY.format('nbf')}; {AGREES}"),
    "this server is behind": (
        7200,
        {"iat": 7200, "exp": 7500},
        f"iat is 7200 s ahead of this server's clock; {BEHIND}",
    ),
    "this server is ahead": (-7200, {"iat": -7200, "exp": -6900}, f"exp was 6900 s ago, iat 7200 s ago; {AHEAD}"),
    "an old token": (0, {"iat": -900, "exp": -600}, f"exp was 600 s ago, iat 900 s ago; {AGREES}"),
    "no date, ahead": (None, {"iat": 300, "exp": 900}, f"{EARLY.format('iat')}: the issuer's clock is ahead"),
    "no date, expired": (None, {"iat": -7200, "exp": -6900}, f"iat 7200 s ago; if it was issued just now, {AHEAD}"),
    "an issuer that lies about both": (0, {"iat": 50, "exp": -10}, "exp was 10 s ago"),
}


def to_tens(told: str) -> str:
    """Return `told` with its numbers rounded: dates and times have whole seconds, and a test takes some."""
    return re.sub(r"\d+", lambda number: str(round(int(number[0]), -1)), told)


def issuer_with_clock(issuer: Issuer, ahead_s: int | None, age_s: int = 0) -> None:
    """Let the key set's answer carry the issuer's date; None removes it."""

    def told(handler: Any) -> None:
        handler.send_response_only(200)
        if ahead_s is not None:
            handler.send_header("date", formatdate(time.time() + ahead_s - age_s, usegmt=True))
            handler.send_header("age", str(age_s))
        answer_body(handler, issuer)

    issuer.answers["/jwks.json"] = told


def answer_body(handler: Any, issuer: Issuer) -> None:
    body = json.dumps(issuer.document("/jwks.json")).encode()
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def refused(issuer: Issuer, token: str) -> tuple[TokenRefusedError, list[Any]]:
    """Return the refusal, and what was logged meanwhile."""
    described = {"issuer": issuer.url, "audiences": [RESOURCE]}

    async def verified() -> TokenRefusedError:
        verifier = TokenVerifier(Settings.model_validate({"resource_url": RESOURCE, "issuers": [described]}), ())
        try:
            with pytest.raises(TokenRefusedError) as caught:
                await verifier.verify(token)
        finally:
            await verifier.close()
        return caught.value

    with own_logs() as lines:
        return asyncio.run(verified()), lines


@pytest.mark.parametrize("case", CASES)
def test_a_token_refused_for_its_times_names_the_clocks_and_the_difference_in_the_log(case) -> None:
    ahead_s, times, told = CASES[case]
    with Issuer(aud=RESOURCE, scope="x").running() as issuer:
        issuer_with_clock(issuer, ahead_s)
        now = int(time.time())
        claims: dict[str, Any] = {name: now + value for name, value in times.items()}
        error, lines = refused(issuer, issuer.token(**claims))
    assert told in to_tens(error.detail or "")
    # What may be a key of a count has no figures in it; the caller reads neither.
    assert error.reason in {"expired", "not valid yet"}
    assert error.issuer == issuer.url
    assert "clock" not in str(error)
    noticed = [to_tens(line["cause"]) for line in lines if line["event"].startswith("the clocks differ")]
    assert noticed == ([AHEAD] if ahead_s == -7200 else [BEHIND] if ahead_s == 7200 else [])


def test_an_answer_that_lay_in_a_cache_is_not_taken_for_a_clock_that_is_behind() -> None:
    with Issuer(aud=RESOURCE, scope="x").running() as issuer:
        issuer_with_clock(issuer, 0, age_s=3600)
        error, lines = refused(issuer, issuer.token(exp=int(time.time()) - 100))
    assert not lines
    assert AGREES in (error.detail or "")


@pytest.mark.parametrize(
    "value", ["yesterday", "", "Thu, 99 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 9999999 00:00:00 GMT"]
)
def test_a_malformed_date_says_nothing_about_a_clock(value) -> None:
    with Issuer(aud=RESOURCE, scope="x").running() as issuer:
        body = b'{"issuer": "%s", "jwks_uri": "%s/jwks.json"}' % (issuer.url.encode(), issuer.url.encode())
        issuer_with_clock(issuer, None)
        issuer.answers["/.well-known/openid-configuration"] = answer(body, date=value)
        error, lines = refused(issuer, issuer.token(exp=int(time.time()) - 100))
    assert not lines
    assert "if it was issued just now" in (error.detail or "")


def test_the_refusal_of_an_unsigned_token_says_nothing_about_clocks() -> None:
    """What is not verified says nothing about a clock, and learns nothing of one."""
    with Issuer(aud=RESOURCE, scope="x").running() as issuer:
        forged = issuer.token(private=private_key("RSA", "second"), iat=int(time.time()) + 300)
        error, _ = refused(issuer, forged)
    assert (error.issuer, error.detail) == (None, None)


@pytest.mark.parametrize("times", [{"iat": 300, "exp": 900}, {"iat": -900, "exp": -NOTICED_S}, {"nbf": 3000}])
def test_over_http_the_log_names_the_difference_and_the_answer_does_not(served: Served, capfd, times) -> None:
    """R63: the answer is the one of every bad token."""
    now = int(time.time())
    served.whoami(served.strict.token())
    capfd.readouterr()
    told = served.post(served.strict.token(**{name: now + value for name, value in times.items()}))
    other = served.post("not a token")
    assert told.status_code == 401
    assert (told.content, told.headers["www-authenticate"]) == (other.content, other.headers["www-authenticate"])
    assert "s ahead of this server's clock" in (log := capfd.readouterr().out) or "s ago, iat" in log
