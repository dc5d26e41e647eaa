"""Forged tokens, and genuine ones that must be refused; the control accepts one of each kind."""

import json
import re
import tempfile
from collections.abc import Generator, Iterable
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.gate import BODY, Served, serving
from support.issuer import Issuer, private_key, public_jwk
from test_tokens_refused import REFUSED

from attack.careless_verifier import CarelessVerifier
from attack.faulty import faulty_server
from attack.forging import forgeries
from attack.genuine import Genuine
from attack.outcome import Attack, Result
from attack.target import ACCEPT, Target
from attack.tools import missing, run

_HEADERS: Final = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": "2025-11-25"}
_DECIDED: Final = frozenset({400, 401, 431})
_SLOW_S: Final = 2.0
_SIGNED: Final = "a token that its issuer signed and that is not for this server, now"
_PLACE: Final = "a token at another place than the header"
_TOOL: Final = "a token made by myjwt"
_MADE: Final = re.compile(r"new JWT: (\S+)")


@dataclass
class Judge:
    """Sends requests to one server and counts, by kind, what it accepts or does not decide."""

    url: str
    http: httpx2.Client
    sent: int = 0
    accepted: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    undecided: list[str] = field(default_factory=list[str])

    def found(self) -> list[str]:
        """Return what was accepted, and what was not decided."""
        accepted = [f"accepted {kind}: {name}" for kind, names in self.accepted.items() for name in names]
        return accepted + self.undecided

    def send(self, kind: str, name: str, token: str, also: AbstractSet[int] = frozenset()) -> None:
        """Send a token as a bearer token; `also` are further statuses that decide."""
        self.judge(kind, name, [(b"authorization", b"Bearer " + token.encode("utf-8", "replace"))], also=also)

    def judge(
        self,
        kind: str,
        name: str,
        headers: list[tuple[bytes, bytes]],
        content: bytes = BODY,
        query: str = "",
        also: AbstractSet[int] = frozenset(),
    ) -> None:
        """Send a request and look at its status and at how long that took."""
        given = {one for one, _ in headers}
        usual = [(one.encode(), value.encode()) for one, value in _HEADERS.items() if one.encode() not in given]
        self.sent += 1
        try:
            answer = self.http.post(f"{self.url}{query}", headers=[*usual, *headers], content=content)
        except httpx2.RequestError as error:
            self.undecided.append(f"{kind}, {name}: {type(error).__name__}")
            return
        if answer.status_code == 200:
            self.accepted.setdefault(kind, []).append(name)
        elif answer.status_code not in _DECIDED | also:
            self.undecided.append(f"{kind}, {name}: {answer.status_code}")
        if answer.elapsed.total_seconds() > _SLOW_S:
            self.undecided.append(f"{kind}, {name}: {answer.elapsed.total_seconds():.1f} s")


def misplaced(judge: Judge, token: str) -> None:
    """Send a genuine token where it must not be looked for (RFC 6750 section 2, OAuth 2.1)."""
    parameter, text = f"access_token={token}", token.encode()
    right, wrong = (b"authorization", b"Bearer " + text), (b"authorization", b"Bearer AAAA")
    for name, headers in {
        "in a cookie": [(b"cookie", parameter.encode())],
        "as a header of its own": [(b"x-access-token", text), (b"token", text)],
        "for a proxy": [(b"proxy-authorization", b"Bearer " + text)],
        "as a password": [(b"authorization", b"Basic " + text)],
        "as a parameter": [(b"authorization", b'Bearer token="' + text + b'"')],
        "without a scheme": [(b"authorization", text)],
        "behind another header of the same name": [wrong, right],
        "before another header of the same name": [right, wrong],
    }.items():
        judge.judge(_PLACE, name, headers)
    judge.judge(_PLACE, "in the query", [], query=f"?{parameter}")
    form = [(b"content-type", b"application/x-www-form-urlencoded")]
    judge.judge(_PLACE, "in a form", form, parameter.encode())
    judge.judge(_PLACE, "in the body", [], json.dumps({**json.loads(BODY), "access_token": token}).encode())


@contextmanager
def _genuine(served: Served) -> Generator[Genuine]:
    with Issuer().running() as attackers:
        attackers.jwks = [public_jwk(private_key("RSA", "of the attacker"), "of the attacker", alg="RS256")]
        keys = httpx2.get(f"{served.strict.url}/jwks.json").json()["keys"]
        yield Genuine(served.strict.token(), keys, attackers)


def by_myjwt(genuine: Genuine) -> Iterable[tuple[str, str]]:
    """Return what the tool makes of the genuine token; it makes them, and this attack sends them."""
    jku = Genuine(genuine.by_own_key(jku="x", x5u="x"), genuine.keys, genuine.server).token
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key.pem"
        key.write_bytes(genuine.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        for token, *options in (
            (genuine.token, "-none"),
            (genuine.token, "--hmac", str(key)),
            (genuine.token, "--add-header", "kid=/dev/null", "-none"),
            (genuine.token, "--add-payload", "tenant_id=broker-b", "--hmac", str(key)),
            (jku, "--jku", genuine.server.url),
            (jku, "--x5u", genuine.server.url),
        ):
            made = _MADE.findall(run("myjwt", token, *options, home=Path(folder), patience_s=60))
            if made:
                yield " ".join(options).replace(folder, ""), made[-1]


def forged(served: Served, *, with_tool: bool) -> Result:
    """Send everything that is forged, and count what reached the attacker's server and the database."""
    judge = Judge(served.url, served.http)
    served.whoami(served.strict.token())
    with _genuine(served) as genuine:
        before, fetched = served.database.bytes_sent, served.fetches
        for kind, name, token in forgeries(genuine):
            # A key that is not known may be one that its issuer publishes next.
            judge.send(kind, name, token, {503} if "kid" in name or "key" in kind else frozenset())
        for name, token in by_myjwt(genuine) if with_tool else ():
            judge.send(_TOOL, name, token)
        misplaced(judge, genuine.token)
        found = [f"asked the attacker's server for {path}" for path in genuine.server.fetched]
        if served.database.bytes_sent != before:
            found.append("something reached the database")
        # Each look for an unknown key is two documents, at the issuer's own address and at most each half minute.
        if served.fetches - fetched > 6:
            found.append(f"{served.fetches - fetched} documents were fetched from the issuers")
    return Result(judge.sent, (*found, *judge.found()))


def attack(target: Target) -> Result:
    """Forge, and send what the issuer signed although it must be refused; that is in `make test` a test for each."""
    with serving(target.stack) as served:
        result = forged(served, with_tool=True)
        judge = Judge(served.url, served.http)
        for name, make in REFUSED.items():
            also = frozenset({503}) if name[:3] in {"R42", "R47"} else frozenset[int]()
            bearer = b"Bearer " + make(served).encode("latin-1")
            judge.judge(_SIGNED, name, [(b"authorization", bearer)], also=also)
    return Result(result.sent + judge.sent, (*result.found, *judge.found(), *target.trouble()))


def control(target: Target) -> Result:
    """Send the same to a verifier with a hole for each kind."""
    with serving(target.stack) as served:
        return let_in(served, with_tool=True)


def let_in(served: Served, *, with_tool: bool) -> Result:
    """Return which kinds the careless verifier accepts."""
    with _genuine(served) as genuine, faulty_server(CarelessVerifier(genuine.public).app) as url:
        judge = Judge(f"{url}/mcp", served.http)
        kinds = {_SIGNED, _PLACE} | ({_TOOL} if with_tool else set())
        for kind, name, token in forgeries(genuine):
            kinds.add(kind)
            judge.send(kind, name, token)
        for name, token in by_myjwt(genuine) if with_tool else ():
            judge.send(_TOOL, name, token)
        misplaced(judge, genuine.token)
        for name in ("R48 aud another", "R53 exp one second ago, no leeway", "R60 cnf"):
            judge.send(_SIGNED, name, REFUSED[name](served))
    found = tuple(f"{kind}: {names[0]}" for kind, names in judge.accepted.items())
    return Result(judge.sent, found, tuple(sorted(kinds - judge.accepted.keys())))


ATTACK: Final = Attack(
    "jwt",
    "forged tokens, ours and those of myjwt",
    lambda: missing("myjwt", how="make attack-tools"),
    attack,
    control,
)
