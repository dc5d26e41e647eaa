"""The databases of a run: a primary that is killed and paused, a standby that takes its place."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from faults.relay import Relay
from psycopg import sql
from support.pooler import through
from test_replicas import replica_of

from server.administration.key_table import put_key
from server.database.context_keys import ContextKey
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import prepare_database


class Databases:
    """Two servers behind a relay each; the URL names both, and the primary of them is meant."""

    def __init__(self, primary: EmbeddedPostgres, password: str, relays: tuple[Relay, Relay], standby: int) -> None:
        self.relays = relays
        self._primary = primary
        self._standby = standby
        self._promoted = False
        hosts = ",".join(f"127.0.0.1:{relay.port}" for relay in relays)
        self.url = f"postgresql://app_user:{quote(password)}@{hosts}/postgres?target_session_attrs=read-write"

    @property
    def admin_url(self) -> str:
        """Of the one that is the primary now."""
        return through(self._primary.admin_url, self._standby) if self._promoted else self._primary.admin_url

    def kill(self) -> None:
        os.kill(self._postmaster(), signal.SIGKILL)

    def start(self) -> None:
        self._primary.stop()
        self._primary.start()
        self.relays[0].target = self._primary.port

    def stop(self) -> None:
        self._primary.stop()

    def pause(self, *, on: bool) -> None:
        for process in self._family():
            os.kill(process, signal.SIGSTOP if on else signal.SIGCONT)

    def promote(self) -> None:
        self.kill()
        with psycopg.connect(through(self._primary.admin_url, self._standby), autocommit=True) as admin:
            assert admin.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
        self._promoted = True

    def connections(self) -> int:
        """Return how many connections the login has."""
        with psycopg.connect(self.admin_url) as admin:
            (count,) = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_user'").fetchone() or (
                0,
            )
        return int(count)

    def _postmaster(self) -> int:
        assert self._primary._child is not None
        return self._primary._child.pid

    def _family(self) -> list[int]:
        """Return the postmaster and its processes: first those that might start another one."""
        postmaster, found = self._postmaster(), list[int]()
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == postmaster:
                found.append(int(entry.parent.name))
        return [postmaster, *found]


@contextmanager
def databases(folder: Path, key: ContextKey, password: str, note: str, issuer: str) -> Generator[Databases]:
    """Run both, with the sample's claims; one claim of each tenant names `note`."""
    with ExitStack() as running:
        primary = running.enter_context(EmbeddedPostgres(folder / "primary"))
        prepare_database(primary, key, issuer)
        with psycopg.connect(primary.admin_url, autocommit=True) as admin:
            put_key(admin, key)
            admin.execute(_altered(password))
            admin.execute("UPDATE app.claims SET customer_name = %s WHERE claim_number LIKE '%%-001'", (note,))
        standby = running.enter_context(replica_of(primary, folder / "standby"))
        relays = (Relay(primary.port), Relay(standby))
        for relay in relays:
            running.enter_context(relay.running())
        _wait_for(through(primary.admin_url, standby), note)
        yield Databases(primary, password, relays, standby)


def _altered(password: str) -> Any:
    return sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(password))


def _wait_for(url: str, note: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with psycopg.connect(url) as standby:
            if standby.execute("SELECT 1 FROM app.claims WHERE customer_name = %s", (note,)).fetchone():
                return
        time.sleep(0.1)
    raise AssertionError("the standby does not follow")
