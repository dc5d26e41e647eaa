"""Two real applications with rows of five tenants are adopted, migrated, proved and served without an edit."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from adoption.place import Place, login_of, place_for
from adoption.rows import Filler
from adoption.schemas import LABEL_STUDIO, LOGTO, schema_text
from adoption.serving import check_tools, served
from support.second_server import MISSING, PROGRAMS, second_server

from server.adoption.relations import read_database
from server.adoption.ways import Parent
from server.catalog.loading import load_catalog
from server.catalog.offer import offered

ORGANIZATIONS = [101, 102, 103, 104, 105]
TENANTS = ["default", "admin", "t3", "t4", "t5"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("second")
    folder.chmod(0o711)
    with second_server(folder / "postgres") as url:
        yield url


@pytest.fixture(scope="module")
def label_studio(server: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Place]:
    output = tmp_path_factory.mktemp("label-studio") / "adopted"
    with place_for(server, "label_studio", output, schema_text(LABEL_STUDIO), id_type="integer") as place:
        filler = Filler(place.admin, ["public"], ("public.organization", "id"), ORGANIZATIONS)
        rows = filler.fill(4 if pytestconfig.getoption("--slow") else 1)
        assert min(rows.values()) > 0
        place.adopt("organization_id", prove=True)
        place.migrate()
        place.register(ORGANIZATIONS)
        yield place


@pytest.fixture(scope="module")
def decided(label_studio: Place) -> Place:
    """Decide by hand what is ambiguous, as the report suggests."""
    report = label_studio.adopt("organization_id")
    last = {name: one.ways[-1] for name, one in report.decisions.undecided.items() if one.ways}
    choices = [f"{way.through if isinstance(way, Parent) else way.column}:{name}" for name, way in last.items()]
    label_studio.adopt("organization_id", *choices, update=True)
    label_studio.migrate()
    return label_studio


def test_label_studio_is_decided_or_listed_with_a_reason(label_studio) -> None:
    report = label_studio.reports[0]
    assert len(report.decisions.declared) + len(report.decisions.undecided) == 82
    assert len(report.decisions.declared) == 50
    assert all(one.reason for one in report.decisions.undecided.values())
    assert all(one.holds for one in report.proved.values())


def test_every_decided_table_of_label_studio_is_proved(label_studio) -> None:
    assert label_studio.doctor() == []
    with login_of(label_studio) as login:
        for table in label_studio.tables.values():
            for tenant in ORGANIZATIONS[:3]:
                assert label_studio.seen(login, table, tenant) == label_studio.truth(table, tenant), table.name


def test_options_named_in_the_report_decide_ambiguous_tables(decided) -> None:
    tables = decided.tables
    assert len(tables) == 68
    assert decided.doctor() == []


@pytest.fixture(scope="module")
def every(pytestconfig: pytest.Config) -> int:
    """Call the tools of all tables in a long run, else of every tenth."""
    return 1 if pytestconfig.getoption("--slow") else 10


def test_every_tool_of_label_studio_agrees_with_the_administrator(decided, stack, every) -> None:
    with served(decided, stack) as one:
        size, names = one.list_bytes(ORGANIZATIONS[0])
        tools = {tool.tool for table in decided.tables.values() for tool in (table.list, table.summary) if tool}
        assert names == tools | {"whoami"}
        assert size <= 1_000 * len(decided.tables)
        called = check_tools(one, ORGANIZATIONS[:3], every=every)
        assert called == 3 * len(tools) or every > 1
        assert called > 20


def test_the_tools_of_sixty_tables_fill_sixty_kilobytes_at_most(label_studio, tmp_path) -> None:
    sixty = list(label_studio.tables)[:60]
    narrowed = replace(label_studio, output=tmp_path / "adopted")
    narrowed.adopt("organization_id", tables=sixty)
    tools = offered(load_catalog([str(tmp_path / "adopted/tools")]), narrowed.settings).tools
    entries = [tool.described.model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    assert len(entries) > len(sixty)
    assert len(",".join(entries).encode()) <= 60_000 * len(sixty) / 60


def test_a_choice_of_tables_narrows_the_tool_list_and_has_room_for_more(label_studio, tmp_path) -> None:
    narrowed = replace(label_studio, output=tmp_path / "adopted")
    narrowed.adopt("organization_id", tables=["public.task", "public.project"])
    tables = narrowed.tables
    assert {name for name, table in tables.items() if table.list} == {"public.task", "public.project"}
    few = sum(bool(column.filter) for column in tables["public.task"].columns.values())
    many = sum(bool(column.filter) for column in label_studio.tables["public.task"].columns.values())
    assert few > many


@pytest.fixture(scope="module")
def logto(server: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Place]:
    """Logto with its own login role for each tenant, which its policies ask for."""
    output = tmp_path_factory.mktemp("logto") / "adopted"
    roles = ["logto_group NOLOGIN", *(f"logto_{tenant} LOGIN IN ROLE logto_group" for tenant in TENANTS)]
    with place_for(server, "logto", output, schema_text(LOGTO), roles=roles) as place:
        fixed = {
            ("public.tenants", "db_user"): [f"logto_{tenant}" for tenant in TENANTS].__getitem__,
            ("public.oidc_model_instances", "model_name"): (["Grant"] * len(TENANTS)).__getitem__,
        }
        filler = Filler(place.admin, ["public"], ("public.tenants", "id"), TENANTS, fixed=fixed)
        filler.fill(3 if pytestconfig.getoption("--slow") else 1)
        place.admin.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO logto_group")
        yield place


def seen_by_the_application(place) -> dict[tuple[str, str], int]:
    with place.admin.cursor() as cursor:
        names = cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {
        (tenant, name): place.count(f'SELECT count(*) FROM public."{name}"', f"logto_{tenant}")
        for tenant in TENANTS[:2]
        for (name,) in names
    }


def test_existing_row_level_security_is_found_explained_and_not_changed(logto) -> None:
    report = logto.adopt("tenant_id")
    assert set(report.decisions.declared) == {"public.service_logs"}
    reason = report.decisions.undecided["public.applications"].reason
    assert reason.startswith("row level security is on already, with policies of its own: applications_modification (")
    assert "--keep-policies public.applications" in reason
    assert len(report.decisions.undecided) == 78


def test_logto_keeps_its_policies_and_is_proved(logto, stack, every) -> None:
    before = seen_by_the_application(logto)
    assert before["default", "users"] > 0
    report = logto.adopt("tenant_id", kept=["all"], update=True, prove=True)
    assert len(report.decisions.declared) == 75
    assert all(one.holds for one in report.proved.values())
    logto.migrate()
    logto.register(TENANTS)
    assert seen_by_the_application(logto) == before
    # Its own wall stands: the application of one tenant sees no row of another.
    assert logto.count("SELECT count(DISTINCT tenant_id) FROM public.users", "logto_default") == 1
    assert logto.doctor() == []
    assert logto.adopt("tenant_id", kept=["all"]).changes == []
    with served(logto, stack) as one:
        size, _ = one.list_bytes(TENANTS[0])
        assert size <= 75_000
        check_tools(one, TENANTS[:3], every=every)


def test_the_application_of_logto_still_writes(logto) -> None:
    """Its trigger fills in the tenant, and its policy checks it."""
    statement = (
        "INSERT INTO public.roles (id, name, description, type) VALUES ('r1', 'n', 'd', 'User') RETURNING tenant_id"
    )
    with logto.admin.transaction(force_rollback=True):
        logto.admin.execute("SET LOCAL ROLE logto_default")
        assert logto.admin.execute(statement).fetchall() == [("default",)]


def test_the_facts_of_the_two_schemas_are_read(server, tmp_path) -> None:
    """0 enum types and 142 foreign keys, 8 enum types and 77 tables with policies: ../shared/facts."""
    with place_for(server, "facts", tmp_path / "x", schema_text(LABEL_STUDIO)) as place:
        with psycopg.connect(place.url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
            found = read_database(connection)
        assert (len(found.relations), len(found.foreign_keys)) == (82, 142)
