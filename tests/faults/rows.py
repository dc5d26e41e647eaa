"""The faults, each with its beginning and its end; what a fault may cost its callers is said beside it."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from faults.counts import program
from faults.site import Site
from support.issuer import answer, private_key, public_jwk

Act = Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin` and `end` do it and undo it; `ends_worker` is how, where that costs the calls that a worker has begun."""

    group: str
    name: str
    begin: Act
    end: Act
    ends_worker: Literal["killed", "stopped", ""] = ""
    # Why it cannot be done here, where it cannot.
    hindrance: Callable[[Site], str] = lambda _site: ""


def _nothing(_site: Site) -> None:
    """Undo what ended by itself."""


def _restart(site: Site) -> None:
    site.databases.stop()
    site.databases.start()


def _delay(seconds: float) -> Act:
    def act(site: Site) -> None:
        for relay in site.databases.relays:
            relay.delay_s = seconds

    return act


def _cut(site: Site) -> None:
    for relay in site.databases.relays:
        relay.cut()


def _stall(*, on: bool) -> Act:
    def act(site: Site) -> None:
        for relay in site.databases.relays:
            relay.stall(on=on)

    return act


def _take_keys_away(site: Site) -> None:
    """Let the issuer sign with a new key, which nobody can fetch."""
    issuer = site.server.issuer
    issuer.answers["/.well-known/openid-configuration"] = answer(b"{}", 503)
    issuer.private = private_key("RSA", "second")
    issuer.jwks = [*issuer.jwks, public_jwk(issuer.private, "second", alg="RS256")]
    site.prepare_rotated()


def _give_keys_back(site: Site) -> None:
    site.server.issuer.answers.clear()


def _throttle(*, on: bool) -> Act:
    def act(site: Site) -> None:
        site.store.throttles = on

    return act


def _kill_counts(site: Site) -> None:
    assert site.counts is not None
    site.counts.kill()


def _start_counts(site: Site) -> None:
    assert site.counts is not None
    site.counts.start()


def _no_counts(site: Site) -> str:
    if site.counts is not None:
        return ""
    return "this server has no limits.store" if program() else "neither valkey-server nor redis-server is installed"


def _kill_worker(site: Site) -> None:
    os.kill(site.server.workers()[0], signal.SIGKILL)


def _stop_worker(site: Site) -> None:
    os.kill(site.server.workers()[1], signal.SIGSTOP)


def _reload(site: Site) -> None:
    site.server.tell(signal.SIGHUP)


FAULTS = (
    Fault("database", "killed with -9", lambda site: site.databases.kill(), lambda site: site.databases.start()),
    Fault(
        "database", "paused", lambda site: site.databases.pause(on=True), lambda site: site.databases.pause(on=False)
    ),
    Fault("database", "restarted", _restart, _nothing),
    Fault("network", "connections to the database cut", _cut, _cut),
    Fault("network", "answers of the database late by 0.1 s", _delay(0.1), _delay(0)),
    Fault("network", "connections to the database stalled", _stall(on=True), _stall(on=False)),
    Fault("identity", "key set away while a key is new", _take_keys_away, _give_keys_back),
    Fault("documents", "knowledge base throttles", _throttle(on=True), _throttle(on=False)),
    Fault(
        "documents",
        "knowledge base hangs",
        lambda site: site.store.hang(on=True),
        lambda site: site.store.hang(on=False),
    ),
    Fault("limits", "store of the counts killed", _kill_counts, _start_counts, hindrance=_no_counts),
    Fault("processes", "reload", _reload, _nothing),
    Fault("processes", "a worker killed with -9", _kill_worker, _nothing, ends_worker="killed"),
    Fault("processes", "a worker stopped", _stop_worker, _nothing, ends_worker="stopped"),
    Fault("database", "failed over to the standby", lambda site: site.databases.promote(), _nothing),
)
GROUPS = tuple(dict.fromkeys(fault.group for fault in FAULTS))
