"""One tenant with a million rows beside a thousand small ones: every page and summary, with and without its helpers.

The statements are those that the server compiles, run as its login with signed contexts, without HTTP. They are asked
in turn, so that a noisy moment hits each alike; the medians of the rounds count. A small tenant's are compared with
those of a small tenant in a database of 10,000 rows.
"""

import hashlib
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final, LiteralString

import psycopg
from dataset import PASSWORD, make_database
from psycopg import sql
from rich.console import Console
from rich.table import Table as Printed
from surroundings import measured_on

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.compile import CompiledTable
from server.catalog.facts import read_facts
from server.catalog.loading import load_catalog
from server.database.context_keys import CONTEXT_LIFETIME_S, ContextKey
from server.database.statement import Statement
from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key
from sql import sql_files

LARGE: Final = "tenant-large"
LARGE_ROWS: Final = 1_000_000
SMALL: Final = "tenant-7"
A_TENANT: Final = 1_000
# Rows of all small tenants together; of those beside the large one, in full or by default.
FEW: Final = 10_000
ROWS: Final = 1_000_000
FULL_ROWS: Final = 9_000_000
GROWN: Final = 1.2
_PAGE: Final = 21
_TENANTS: Final[LiteralString] = """
INSERT INTO tenancy.tenants (tenant_id, name)
SELECT 'tenant-' || t, 'Tenant ' || t FROM generate_series(1, $1::int) AS t UNION ALL SELECT 'tenant-large', 'Large'
"""
# Rows of all tenants are written in turn, as they would have come in. Their values are spread by PostgreSQL's hash, so
# that no tenant has only some of the days or states.
_CLAIMS: Final[LiteralString] = """
INSERT INTO app.claims
  (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, filed_at, description)
SELECT CASE WHEN n % $2::bigint < $3::bigint THEN 'tenant-large' ELSE 'tenant-' || 1 + n / $2::bigint % $4::bigint END,
       'CLM-' || n, 'Customer ' || abs(hashint8extended(n, 1) % 250007), abs(hashint8extended(n, 2) % 9000000) / 100.0,
       (ARRAY['open', 'pending', 'approved', 'denied', 'closed'])[1 + abs(hashint8extended(n, 3) % 5)],
       (ARRAY['auto', 'home', 'life', 'health', 'commercial'])[1 + abs(hashint8extended(n, 4) % 5)],
       now() - abs(hashint8extended(n, 5) % 63072000) * interval '1 second',
       'Rear-end collision at low speed; bumper and light.'
FROM generate_series(1, $1::bigint) AS n
"""
# What is asked, with the milliseconds that it may take the large tenant; None where it is only told.
TARGETS: Final[dict[str, float | None]] = {
    "newest first": 5,
    "oldest first": 5,
    "largest amount first": 5,
    "smallest amount first": 5,
    "by customer": 5,
    "by customer, backwards": 5,
    "deep page, by date": 3,
    "deep page, by amount": 3,
    "deep page, by customer": 3,
    "by number": 5,
    "part of a name, found": None,
    "part of a name, no match": 50,
    "summary, roll-up": 10,
    "summary by state, roll-up": 10,
    "summary by month, roll-up": 10,
    "summary, rows": 500,
    "summary by month, rows": None,
}


class Reader:
    """The server's login on one connection, set up as those of the server's pool."""

    def __init__(self, url: str, key: ContextKey) -> None:
        """Connect, and compile each statement with its values."""
        self.connection: Final = psycopg.connect(
            url, autocommit=True, prepare_threshold=0, cursor_factory=psycopg.RawCursor
        )
        # A slow answer is a figure here.
        self.connection.execute("SET statement_timeout = '60s'")
        self._key: Final = key
        declared = load_catalog(["sample"]).tables
        facts = read_facts(self.connection, declared)
        table = CompiledTable(declared["app.claims"], facts["app.claims"], facts["app.claims_by_day"])
        self.asked: Final = _asked(table, self.connection)

    def ask(self, name: str, tenant: str) -> tuple[float, str]:
        """Return how long an answer took, in milliseconds, and its text."""
        statement, values = self.asked[name]
        expiry_s = int(time.time()) + CONTEXT_LIFETIME_S
        person = ("https://issuer.example", "bench")
        context = self._key.sign(person=person, tenant=tenant, tier="", expiry_s=expiry_s, digest=statement.digest)
        began = time.perf_counter()
        row = self.connection.execute(statement.sent, (*values, context), prepare=True).fetchall()[0]
        took_ms = (time.perf_counter() - began) * 1000
        assert row[0] == tenant
        return took_ms, row[1]


def _asked(
    table: CompiledTable, connection: psycopg.Connection[Any]
) -> dict[str, tuple[Statement[Any], tuple[Any, ...]]]:
    """Return each statement with its values."""

    def page(sort: str, *, descending: bool, after: tuple[str, ...] = (), **filters: str) -> Any:
        asked: Any = tuple((name, "equals" if name == "claim_number" else "contains") for name in filters)
        start = "value" if after else "beginning"
        statement = table.listing(asked, sort, descending=descending, start=start)
        return statement, (*filters.values(), *after, _PAGE)

    middle = str(connection.execute("SELECT now() - interval '365 days'").fetchall()[0][0])
    month: Any = ("filed_at", "month")
    return {
        "newest first": page("filed_at", descending=True),
        "oldest first": page("filed_at", descending=False),
        "largest amount first": page("amount", descending=True),
        "smallest amount first": page("amount", descending=False),
        "by customer": page("customer_name", descending=False),
        "by customer, backwards": page("customer_name", descending=True),
        "deep page, by date": page("filed_at", descending=True, after=(middle, "1")),
        "deep page, by amount": page("amount", descending=True, after=("4500000", "1")),
        "deep page, by customer": page("customer_name", descending=False, after=("Customer 5", "1")),
        "by number": page("filed_at", descending=True, claim_number="CLM-4000"),
        "part of a name, found": page("filed_at", descending=True, customer_name="mer 77"),
        "part of a name, no match": page("filed_at", descending=True, customer_name="nobody"),
        "summary, roll-up": (table.summary((), None), ()),
        "summary by state, roll-up": (table.summary((), ("status", None)), ()),
        "summary by month, roll-up": (table.summary((), month), ()),
        "summary, rows": (table.summary((), None, rolled=False), ()),
        "summary by month, rows": (table.summary((), month, rolled=False), ()),
    }


def measured(directory: Path, say: Any, rounds: int, *, full: bool) -> dict[str, Any]:
    """Return the medians in milliseconds for the large tenant and for a small one, and how the small one's grew."""
    small = FULL_ROWS if full else ROWS
    versions: dict[str, str] = {}
    about = measured_on("", rounds, 0, versions)
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        key = development_key(directory / "context.key")
        few = Reader(_prepared(postgres, key, "growth_10k", FEW, say), key)
        stack.callback(few.connection.close)
        many = Reader(_prepared(postgres, key, "growth_10m" if full else "growth_2m", small, say), key)
        stack.callback(many.connection.close)
        versions["PostgreSQL"] = many.connection.info.parameter_status("server_version") or "?"
        assert "CLM-4000" in many.ask("by number", LARGE)[1]
        for what in ("summary", "summary by month"):
            assert many.ask(f"{what}, roll-up", LARGE)[1] == many.ask(f"{what}, rows", LARGE)[1], what
        found: dict[str, dict[str, list[float]]] = {name: {"large": [], "small": [], "few": []} for name in TARGETS}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for name, took in found.items():
                # The first one may still wait for the disk.
                took["large"].append(min(many.ask(name, LARGE)[0] for _ in range(2)))
                for _ in range(5):
                    took["small"].append(many.ask(name, SMALL)[0])
                    took["few"].append(few.ask(name, SMALL)[0])
        writes = _write_cost(postgres, "growth_2m" if not full else "growth_10m", rounds)
    ms = {name: {who: round(median(several), 3) for who, several in took.items()} for name, took in found.items()}
    return {
        "measured_on": about(),
        "rows": {"large": LARGE_ROWS, "others": small},
        "ms": ms,
        "most_ms": {name: most for name, most in TARGETS.items() if most},
        "most_grown": GROWN,
        "grown": {name: round(one["small"] / one["few"], 2) for name, one in ms.items()},
        "writes": writes,
    }


_INSERT: Final[LiteralString] = """
INSERT INTO app.claims
  (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, filed_at, description)
SELECT 'tenant-large', 'NEW-' || n, 'Customer ' || n, n % 9000, 'open', 'auto', now() - n * interval '1 minute', 'x'
FROM generate_series(1, $1::int) AS n
"""
_UPDATE: Final[LiteralString] = """
UPDATE app.claims SET status = 'closed' WHERE tenant_id = 'tenant-large' AND claim_number = 'CLM-4000'
"""
_STEPS: Final[dict[str, tuple[LiteralString, tuple[Any, ...]]]] = {
    "insert of one row": (_INSERT, (1,)),
    "insert of 10,000 rows": (_INSERT, (10_000,)),
    "update of one row": (_UPDATE, ()),
}
# What is taken away in turn: nothing, the triggers of the roll-up, and the indexes of two sorts as well.
_WITHOUT: Final[dict[str, tuple[LiteralString, ...]]] = {
    "with all": (),
    "without roll-up": ("ALTER TABLE app.claims DISABLE TRIGGER USER",),
    "without roll-up and sort indexes": (
        "ALTER TABLE app.claims DISABLE TRIGGER USER",
        "DROP INDEX app.claims_customer_name_200_short_sorted, app.claims_customer_name_200_longer_sorted",
        "DROP INDEX app.claims_claim_amount_cents_sorted",
    ),
}


def _write_cost(postgres: EmbeddedPostgres, name: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the milliseconds that writing takes the administrator; all is undone."""
    took: dict[str, dict[str, list[float]]] = {step: {without: [] for without in _WITHOUT} for step in _STEPS}
    url = postgres.admin_url.removesuffix("/postgres") + f"/{name}"
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        for _ in range(rounds):
            for without, statements in _WITHOUT.items():
                for step, (text, values) in _STEPS.items():
                    with connection.transaction(force_rollback=True):
                        for statement in statements:
                            connection.execute(statement)
                        # The first time, the function and the plans are made.
                        took[step][without].append([_undone(connection, text, values) for _ in range(3)][-1])
        # What was undone would slow down the answers of the next run.
        connection.execute("VACUUM app.claims, app.claims_by_day")
    return {
        step: {without: round(median(several), 3) for without, several in one.items()} for step, one in took.items()
    }


def _undone(connection: psycopg.Connection[Any], text: LiteralString, values: tuple[Any, ...]) -> float:
    """Return the milliseconds of a statement, whose effect is undone."""
    with connection.transaction(force_rollback=True):
        began = time.perf_counter()
        connection.execute(text, values)
        return (time.perf_counter() - began) * 1000


def _prepared(postgres: EmbeddedPostgres, key: ContextKey, name: str, small_rows: int, say: Any) -> str:
    """Fill the database if it is not there, and return the login's URL."""
    admin_url = postgres.admin_url.removesuffix("/postgres") + f"/{name}"
    version = _version()
    if not _is_filled(postgres.admin_url, name, version):
        make_database(postgres.admin_url, name)
        migrate(admin_url, lambda _step: None, folders=["sample"])
        with psycopg.connect(admin_url, autocommit=True) as connection:
            put_key(connection, key)
        with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
            statement = sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(PASSWORD))
            connection.execute(statement)
            _fill(connection, small_rows, say)
            comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
            connection.execute(comment.format(sql.Identifier(name), sql.Literal(version)))
    return postgres.url("app_user", PASSWORD, name)


def _fill(connection: psycopg.Connection[Any], small_rows: int, say: Any) -> None:
    large = LARGE_ROWS if small_rows > FEW else 0
    rows = large + small_rows
    say(f"filling {rows:,} rows (the first time takes up to a minute per million)")
    connection.execute(_TENANTS, (small_rows // A_TENANT,))
    every = rows // 1_000_000 or 1
    connection.execute(_CLAIMS, (rows, every if large else 1, 1 if large else 0, small_rows // A_TENANT))
    connection.execute("VACUUM ANALYZE")


def _version() -> str:
    """Return a digest of the rows and of the schema: with another schema, the rows are written anew."""
    migrations = [file.read_bytes() for folder in ("migrations", "sample") for file in sql_files(folder)]
    rows = Path(__file__).read_bytes().partition(b"# What is asked")[0]
    return hashlib.sha256(b"".join([rows, *migrations])).hexdigest()


def _is_filled(server_url: str, name: str, version: str) -> bool:
    """Whether the database was filled to its end, with these rows."""
    with psycopg.connect(server_url) as connection:
        text = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        return connection.execute(text, (name,)).fetchone() == (version,)


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables; plain text when piped."""
    rows = result["rows"]
    table = Printed("", f"large tenant ({rows['large']:,} rows)", "at most", "small tenant", "of that with 10,000 rows")
    for name, most in TARGETS.items():
        one = result["ms"][name]
        allowed = f"{most:g} ms" if most else ""
        table.add_row(name, f"{one['large']:.2f} ms", allowed, f"{one['small']:.2f} ms", f"{result['grown'][name]:.2f}")
    console.print(table)
    writes = Printed("written by the large tenant, ms", *_WITHOUT)
    for step, one in result["writes"].items():
        writes.add_row(step, *(f"{one[without]:.2f}" for without in _WITHOUT))
    console.print(writes)


def is_met(result: dict[str, Any]) -> bool:
    """Whether the large tenant's answers come in time, and a small one's cost what they cost among few rows."""
    in_time = all(result["ms"][name]["large"] <= most for name, most in TARGETS.items() if most)
    return in_time and all(grown <= GROWN for grown in result["grown"].values())
