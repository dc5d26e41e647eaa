"""The database logs by itself whom it ran each statement for; what it says is compared with the audit trail.

The requirements R230 and R231.
"""

import json
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import RawCursor
from support.second_server import MISSING, PROGRAMS, second_server
from support.server_of_its_own import server_of_its_own
from typer.testing import CliRunner

from server.__main__ import cli
from server.administration.key_table import add_key, log_contexts, logs_contexts, put_key
from server.administration.migrations import migrate
from server.audit.database_log import DatabaseLog, differences
from server.database.context_keys import ContextKey, new_context_key
from server.database.statement import Statement
from server.dev.sample import load_sample
from server.dev.stack import Stack
from server.settings import AuditSettings

ARGUMENT = "never-in-a-log-7431"
FIND = Statement(
    "find",
    "SELECT count(*) AS claims FROM app.claims WHERE claim_number <> $1::text OR status <> $1::text",
    dict[str, int],
)
REQUEST = "00112233aabbccdd"


def signed(key: ContextKey, statement: Statement[Any] = FIND, **other: Any) -> str:
    parts: dict[str, Any] = {"person": ("https://issuer.test", "emma"), "tenant": "broker-b", "tier": ""}
    parts |= {"expiry_s": int(time.time()) + 60, "digest": statement.digest, "request": REQUEST}
    return key.sign(**parts | other)


@contextmanager
def logging(url: str) -> Generator[None]:
    with psycopg.connect(url, autocommit=True) as admin:
        log_contexts(admin, on=True)
        try:
            yield
        finally:
            log_contexts(admin, on=False)


class Written:
    """What PostgreSQL wrote into its log since this was made, or since the last look."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._from = file.stat().st_size

    def lines(self) -> list[str]:
        with self.file.open("rb") as log:
            log.seek(self._from)
            text = log.read()
        self._from += len(text)
        return text.decode().splitlines()


@pytest.fixture
def written(stack: Stack, stack_folder: Path) -> Written:
    assert stack
    return Written(stack_folder / "postgres" / "postgres.log")


def reconciled(trail: Path, log: Path, *more: str) -> tuple[int, str, list[dict[str, str]]]:
    verb = ["audit", "reconcile", "--log", str(log), "--file", str(trail), "--json", *more]
    result = CliRunner(env={"TENANTGATE_CONFIG": None}).invoke(cli, verb)
    return result.exit_code, str(result.exception), json.loads(result.stdout or "[]")


def test_each_statement_of_the_trail_is_in_the_databases_log_and_the_other_way_round(stack, written, tmp_path) -> None:
    """R230."""
    trail, log = tmp_path / "audit.jsonl", tmp_path / "postgres.log"
    with (
        logging(stack.admin_url),
        server_of_its_own(stack, changed={"audit": AuditSettings(path=trail)}) as server,
    ):
        written.lines()
        for tool in ("query_claims", "summarize_claims"):
            server.call(tool, **({"claim_number": ARGUMENT} if tool == "query_claims" else {}))
        server.call("query_claims", limit=0)
        lines = written.lines()
        log.write_text("\n".join(lines) + "\n")
    code, problem, found = reconciled(trail, log)
    assert (code, found) == (0, []), problem
    ours = [line for line in lines if "LOG:  tenantgate request=" in line]
    assert len({found[1] for line in ours if (found := re.search(r"request=(\w{16}) ", line))}) == 2
    assert all(" tenant=broker-a issuer=http" in line for line in ours if " tenant= " not in line)
    assert ARGUMENT not in log.read_text()

    cut = next(line for line in ours if re.search(r"request=\w{16} ", line))
    log.write_text("\n".join(line for line in lines if line != cut and cut.split("request=")[1] not in line) + "\n")
    code, problem, found = reconciled(trail, log)
    assert code == 1
    assert "1 differences" in problem
    assert [one["kind"] for one in found] == ["not in the database's log"]

    other = cut.replace("tenant=broker-a", "tenant=broker-b") + "\n" + cut.replace(cut.split("=")[1][:16], "f" * 16)
    log.write_text("\n".join(line for line in lines if cut.split("request=")[1] not in line) + f"\n{other}\n")
    assert {one["kind"] for one in reconciled(trail, log)[2]} == {"another tenant", "not in the trail"}
    log.write_text("")
    assert "name files that hold such lines" in reconciled(trail, log)[1]


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ('2026-11-26 20:00:00 UTC [7] LOG:  tenantgate request=aa statement={d} tenant=t issuer=i subject="s"', True),
        (
            '2026-11-26,"app_user",,,LOG,00000,"tenantgate request=aa statement={d} tenant=t issuer=i subject=""s"""',
            True,
        ),
        ('{{"pid":7,"message":"tenantgate request=aa statement={d} tenant=t issuer=i subject=\\"s\\""}}', True),
        ("\tLOG:  tenantgate request=aa statement={d} tenant=t issuer=i", False),
        ("[7] STATEMENT:  SELECT 'LOG:  tenantgate request=aa statement={d} tenant=t issuer=i'", False),
        ("[7] LOG:  statement: SELECT 'tenantgate request=aa statement={d} tenant=t issuer=i'", False),
    ],
    ids=["plain", "csv", "json", "a line that goes on", "a caller's text", "a logged statement"],
)
def test_only_what_the_database_wrote_itself_counts_in_each_format_of_its_log(line, counts) -> None:
    log = DatabaseLog()
    log.add([line.format(d="0" * 64)])
    assert bool(log.statements) is counts
    assert bool(list(differences([], log))) is counts


def test_a_call_that_failed_need_not_be_in_the_databases_log() -> None:
    record = {"request": "aa", "tenant": "t", "statements": [{"name": "x", "digest": "0" * 64}]}
    assert not list(differences([record | {"outcome": "UnavailableError"}], DatabaseLog()))
    assert list(differences([record | {"outcome": "answered"}], DatabaseLog()))


def test_nothing_is_logged_until_an_administrator_says_so_and_then_with_the_next_statement(stack, written) -> None:
    key = stack.settings.database.signing_keys()[0]
    with psycopg.connect(stack.addresses.database_url, autocommit=True, cursor_factory=RawCursor) as login:
        login.execute(FIND.sent, (ARGUMENT, signed(key)))
        assert not [line for line in written.lines() if "tenantgate request=" in line]
        with logging(stack.admin_url):
            login.execute(FIND.sent, (ARGUMENT, signed(key)))
            assert [line for line in written.lines() if f"request={REQUEST} statement={FIND.digest} " in line]
        login.execute(FIND.sent, (ARGUMENT, signed(key)))
        assert not [line for line in written.lines() if "tenantgate request=" in line]


HIDING = [
    "SELECT set_config('tenantgate.log_context', 'off', false)",
    "SELECT set_config('client_min_messages', 'error', false)",
    "SELECT set_config('log_min_messages', 'panic', false)",
    "SELECT set_config('log_statement', 'none', false)",
    "SET default_transaction_read_only = off",
    "UPDATE tenancy.keys SET logged = false",
    "ALTER FUNCTION tenancy.verified_context() RESET ALL",
]


def test_no_sql_of_the_login_hides_its_statements_from_the_databases_log(stack, written) -> None:
    """R231."""
    key = stack.settings.database.signing_keys()[0]
    with (
        logging(stack.admin_url),
        psycopg.connect(stack.addresses.database_url, autocommit=True, cursor_factory=RawCursor) as login,
    ):
        for text in HIDING:
            with suppress(psycopg.errors.InsufficientPrivilege):
                login.execute(text.encode())
            written.lines()
            login.execute(FIND.sent, (ARGUMENT, signed(key)))
            assert [line for line in written.lines() if f"LOG:  tenantgate request={REQUEST}" in line], text


@pytest.mark.parametrize(
    "subject", ["x request=1 statement=2", "a\nLOG:  tenantgate request=1", '"quoted" \\ é', "\r\t"]
)
def test_a_subject_of_any_characters_stays_one_field_of_one_line(stack, written, subject) -> None:
    """R231: nobody's name forges a line or a part of one."""
    key = stack.settings.database.signing_keys()[0]
    with (
        logging(stack.admin_url),
        psycopg.connect(stack.addresses.database_url, autocommit=True, cursor_factory=RawCursor) as login,
    ):
        login.execute(FIND.sent, (ARGUMENT, signed(key, person=("https://issuer.test", subject))))
        (line, *_) = [line for line in written.lines() if "LOG:  tenantgate request=" in line]
    said = re.fullmatch(
        rf".*LOG:  tenantgate request={REQUEST} statement=\w+ tenant=broker-b issuer=https://issuer\.test subject=(.*)",
        line,
    )
    assert said
    assert json.loads(said[1]) == subject


def test_a_new_key_is_logged_where_the_others_are(stack) -> None:
    with psycopg.connect(stack.admin_url) as admin:
        log_contexts(admin, on=True)
        add_key(admin, new_context_key("later"))
        logged, keys = logs_contexts(admin)
        assert logged == keys > 1
        admin.rollback()


def test_the_verb_switches_it_and_shows_whether_it_is_on(stack, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.touch(mode=0o600)
    config.write_text(f'[database]\nadmin_url = "{stack.admin_url}"\n')

    def said(*options: str) -> str:
        verb = ["audit", "database", *options, "--config", str(config)]
        return CliRunner(env={"TENANTGATE_CONFIG": None}).invoke(cli, verb).stdout.strip()

    assert said() == "the database logs no context"
    try:
        assert said("--log") == said() == "the database logs each verified context"
    finally:
        assert said("--no-log") == said() == "the database logs no context"


def test_a_server_of_the_previous_version_works_with_the_new_function(stack) -> None:
    """Its contexts have no request; `migrate` comes first, then the servers are replaced one by one."""
    key = stack.settings.database.signing_keys()[0]

    parts = signed(key).split("|")
    body = "|".join(["v2", *parts[1:5], *parts[6:8]])
    mac = sha256(key.pads()[1] + sha256(key.pads()[0] + body.encode()).digest()).hexdigest()
    with psycopg.connect(stack.addresses.database_url, autocommit=True, cursor_factory=RawCursor) as login:
        assert login.execute(FIND.sent, (ARGUMENT, f"{body}|{mac}")).fetchall()[0][0] == "broker-b"
        mixed = "|".join(["v2", *parts[1:8]])
        mac = sha256(key.pads()[1] + sha256(key.pads()[0] + mixed.encode()).digest()).hexdigest()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login.execute(FIND.sent, (ARGUMENT, f"{mixed}|{mac}"))


NO_PGAUDIT = "PostgreSQL 14 to 17 has no pgaudit here; install Debian's postgresql-15-pgaudit"


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, ContextKey, Path]]:
    """Debian's PostgreSQL with pgaudit as docs/audit.md sets it: its URLs, the key and the log."""
    if PROGRAMS is None:
        pytest.skip(MISSING)
    if not (PROGRAMS.parent / "lib" / "pgaudit.so").is_file():
        pytest.skip(NO_PGAUDIT)
    key, folder = new_context_key("k1"), tmp_path_factory.mktemp("pgaudit")
    folder.chmod(0o711)
    documented = {
        "shared_preload_libraries": "pgaudit",
        "pgaudit.log": "read, write, function",
        "pgaudit.log_parameter": "off",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] %v %u@%d ",
    }
    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    assert all(f"{name} = " in page for name in documented)
    with second_server(folder / "server", **documented) as url:
        migrate(url, lambda _step: None, folders=["sample"])
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER ROLE app_user PASSWORD 'of-a-test'")
            put_key(admin, key)
            log_contexts(admin, on=True)
            load_sample(admin, "https://issuer.test")
        login = urlsplit(url)._replace(netloc=f"app_user:of-a-test@{urlsplit(url).netloc.rpartition('@')[2]}").geturl()
        yield url, login, key, folder / "server" / "log"


def test_pgaudits_lines_and_ours_join_by_process_and_transaction_and_hold_no_value(audited) -> None:
    """R230."""
    _, login_url, key, log = audited
    written = Written(log)
    broken = Statement("broken", "SELECT 1 / (length($1::text) - length($1::text)) AS x", dict[str, int])
    with psycopg.connect(login_url, autocommit=True, cursor_factory=RawCursor, prepare_threshold=0) as login:
        context = signed(key)
        login.execute(FIND.sent, (ARGUMENT, context))
        with pytest.raises(psycopg.errors.DivisionByZero):
            login.execute(broken.sent, (ARGUMENT, signed(key, broken)))
    lines = written.lines()
    place = re.compile(r" \[(\d+)\] (\S+) app_user@postgres LOG:  ")
    (ours, *_) = [line for line in lines if f"tenantgate request={REQUEST} statement={FIND.digest}" in line]
    joined = place.search(ours)
    assert joined
    audits = [line for line in lines if "AUDIT: SESSION" in line and "claim_number" in line]
    assert audits
    assert all(place.search(line)[0] == joined[0] for line in audits)  # type: ignore[index]
    text = "\n".join(lines)
    assert "division by zero" in text
    assert ARGUMENT not in text
    assert context.rpartition("|")[2] not in text


def test_with_parameters_pgaudit_writes_values_and_contexts_so_the_search_above_finds_what_is_there(audited) -> None:
    """The control: why `pgaudit.log_parameter` is off."""
    url, login_url, key, log = audited
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER ROLE app_user SET pgaudit.log_parameter = on")
    try:
        written = Written(log)
        with psycopg.connect(login_url, autocommit=True, cursor_factory=RawCursor, prepare_threshold=0) as login:
            context = signed(key)
            login.execute(FIND.sent, (ARGUMENT, context))
        text = "\n".join(written.lines())
        assert ARGUMENT in text
        assert context.rpartition("|")[2] in text
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER ROLE app_user RESET pgaudit.log_parameter")
