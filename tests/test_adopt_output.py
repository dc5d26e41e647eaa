"""A run can be repeated: it shows what is new, gone or different, and touches no file that a person edited."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from adoption.place import Place, place_for

from server.administration.steps import steps_of
from server.adoption.files import read_file, sealed
from server.adoption.output import Change
from server.dev.stack import Stack
from server.errors import CatalogError, SettingsError, StartupError

TEXT = """
CREATE SCHEMA app;
CREATE TABLE app.accounts (id text PRIMARY KEY, name text);
CREATE TABLE app.orders (id int PRIMARY KEY, account_id text NOT NULL REFERENCES app.accounts, note text, token text);
CREATE INDEX ON app.orders (account_id);
CREATE TABLE app.items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES app.orders, note text);
CREATE INDEX ON app.items (order_id);
INSERT INTO app.accounts VALUES ('acme', 'Acme'), ('b-7', 'B');
INSERT INTO app.orders VALUES (1, 'acme', 'a', 's'), (2, 'b-7', 'b', 's');
INSERT INTO app.items VALUES (1, 1, 'a'), (2, 2, 'b');
"""


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[Place]:
    with place_for(stack.admin_url, "output", tmp_path / "adopted", TEXT) as place:
        yield place


def state(place) -> dict[str, str]:
    """Return the digest of every file of the output folder."""
    files = [path for path in place.output.rglob("*") if path.is_file()]
    return {str(path.relative_to(place.output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shown(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.path.name) for change in changes]


def test_the_first_run_writes_everything(place) -> None:
    report = place.adopt("account_id")
    assert report.written
    assert set(state(place)) == {
        "tools/app.accounts.toml",
        "tools/app.orders.toml",
        "tools/app.items.toml",
        "migrations/0001_app.sql",
    }


def test_a_run_without_changes_finds_none_before_and_after_the_migration(place) -> None:
    place.adopt("account_id")
    before = state(place)
    assert place.adopt("account_id").changes == []
    place.migrate()
    assert place.adopt("account_id").changes == []
    assert place.adopt("account_id", update=True).changes == []
    assert state(place) == before


def test_a_later_run_without_update_only_shows(place) -> None:
    place.adopt("account_id")
    place.migrate()
    before = state(place)
    place.admin.execute(
        "CREATE TABLE app.notes (id int PRIMARY KEY, account_id text); DROP TABLE app.items;"
        "ALTER TABLE app.orders ADD placed_on date"
    )
    report = place.adopt("account_id")
    assert shown(report.changes) == [
        ("new", "app.notes.toml"),
        ("different", "app.orders.toml"),
        ("gone", "app.items.toml"),
        ("new", "0002_app.sql"),
    ]
    assert not report.written
    assert state(place) == before


def test_update_writes_what_is_new_different_and_gone_and_the_database_follows(place) -> None:
    place.adopt("account_id")
    place.migrate()
    applied = state(place)["migrations/0001_app.sql"]
    place.admin.execute(
        "CREATE TABLE app.notes (id int PRIMARY KEY, account_id text); DROP TABLE app.items;"
        "ALTER TABLE app.orders ADD placed_on date"
    )
    assert place.adopt("account_id", update=True).written
    assert "tools/app.items.toml" not in state(place)
    # What was applied stays as it was.
    assert state(place)["migrations/0001_app.sql"] == applied
    labels = {label for label, _ in steps_of((place.output / "migrations/0002_app.sql").read_text())}
    assert labels == {"app.notes", "app.orders"}
    place.migrate()
    place.register(["acme", "b-7"])
    assert place.doctor() == []
    assert place.adopt("account_id").changes == []


def test_an_edited_file_stays_and_counts_with_its_edits(place) -> None:
    place.adopt("account_id")
    place.migrate()
    file = place.output / "tools/app.orders.toml"
    text = file.read_text()
    file.write_text(text.replace("# token = ", "token = ").replace("# token", "token"))
    assert 'token = { type = "text" }' in file.read_text()
    edited = state(place)
    place.admin.execute("ALTER TABLE app.orders ADD placed_on date")
    report = place.adopt("account_id", update=True)
    assert report.kept == ["app.orders"]
    assert state(place)["tools/app.orders.toml"] == edited["tools/app.orders.toml"]
    # The login may read the column now that a person declared it, and no other.
    assert shown(report.changes) == [("new", "0002_app.sql")]
    place.migrate()
    place.register(["acme", "b-7"])
    assert place.doctor() == []


def test_a_table_that_a_person_declares_is_protected_as_they_say(place) -> None:
    place.admin.execute(
        "CREATE TABLE app.pairs (id int PRIMARY KEY, a int REFERENCES app.orders, b int REFERENCES app.orders)"
    )
    report = place.adopt("account_id")
    assert "app.pairs" in report.decisions.undecided
    (place.output / "tools/pairs.toml").write_text(
        '[[table]]\nname = "app.pairs"\ntenant = { through = "a", parent = "app.orders" }\nscope = "app:read"\n'
        'list = { tool = "my_pairs" }\n[table.columns]\nid = { type = "integer" }\n'
    )
    report = place.adopt("account_id", update=True)
    assert "app.pairs" not in report.decisions.undecided
    place.migrate()
    place.register(["acme", "b-7"])
    assert place.doctor() == []


def test_an_edited_migration_that_was_not_applied_yet_stays(place) -> None:
    place.adopt("account_id")
    file = place.output / "migrations/0001_app.sql"
    file.write_text(file.read_text() + "-- reviewed\n")
    edited = state(place)
    assert place.adopt("account_id", update=True).changes == []
    assert state(place) == edited
    place.migrate()
    place.register(["acme", "b-7"])
    assert place.doctor() == []


def test_a_migration_that_was_not_applied_yet_is_replaced_with_update(place) -> None:
    place.adopt("account_id")
    place.admin.execute("CREATE TABLE app.notes (id int PRIMARY KEY, account_id text)")
    report = place.adopt("account_id", update=True)
    assert shown(report.changes) == [("new", "app.notes.toml"), ("different", "0001_app.sql")]
    labels = {label for label, _ in steps_of((place.output / "migrations/0001_app.sql").read_text())}
    assert labels == {"app.accounts", "app.items", "app.notes", "app.orders"}


def test_table_narrows_to_a_table_and_the_parents_that_it_needs(place) -> None:
    place.adopt("account_id", tables=["app.items"])
    tables = place.tables
    assert set(tables) == {"app.items", "app.orders"}
    # The parent has its key alone, and no tools.
    assert set(tables["app.orders"].columns) == {"id"}
    assert tables["app.orders"].list is tables["app.orders"].summary is None
    place.migrate()
    place.register(["acme", "b-7"])
    assert place.doctor() == []


def test_a_name_that_is_taken_is_refused_before_anything_is_written(place) -> None:
    folder = place.output / "tools"
    folder.mkdir(parents=True)
    (folder / "app.orders.toml").write_text('[[prompt]]\nname = "x"\ndescription = "x"\ntext = "x"\n')
    before = state(place)
    with pytest.raises(SettingsError, match=r"app\.orders\.toml exists and does not declare app\.orders; move it away"):
        place.adopt("account_id")
    assert state(place) == before


def test_a_tool_name_that_a_person_uses_is_not_taken(place) -> None:
    folder = place.output / "tools"
    folder.mkdir(parents=True)
    (folder / "own.toml").write_text(
        '[[table]]\nname = "app.accounts"\ntenant = "id"\nscope = "x"\nlist = { tool = "query_orders" }\n'
        '[table.columns]\nid = { type = "text" }\n'
    )
    place.adopt("account_id")
    orders = place.tables["app.orders"]
    assert orders.list is not None
    assert orders.list.tool == "query_orders_2"


def test_a_broken_file_in_the_folder_is_named_and_nothing_is_written(place) -> None:
    place.adopt("account_id")
    file = place.output / "tools/app.orders.toml"
    file.write_text(file.read_text() + "nonsense = 1\n")
    before = state(place)
    with pytest.raises(CatalogError, match=r"app\.orders\.toml"):
        place.adopt("account_id", update=True)
    assert state(place) == before


@pytest.mark.parametrize("suffix", [".toml", ".sql"])
def test_a_file_is_recognized_until_a_single_character_changes(tmp_path, suffix) -> None:
    file = tmp_path / f"x{suffix}"
    file.write_text(sealed(suffix, "a = 1\n"))
    assert read_file(file).state == "as written"
    file.write_text(sealed(suffix, "a = 1\n") + " ")
    assert read_file(file).state == "edited"
    file.write_text("a = 1\n")
    assert read_file(file).state == "of somebody else"


def test_a_name_like_the_mark_of_a_step_is_refused(place) -> None:
    """Otherwise whoever may create a table could have SQL run by the administrator."""
    place.admin.execute(
        'CREATE TABLE app."x\n-- tenantgate: step y\nSELECT 1; --" (id int PRIMARY KEY, account_id text)'
    )
    with pytest.raises(StartupError, match="has a line like '-- tenantgate: step'; rename that object"):
        place.adopt("account_id")
    assert state(place) == {}


def test_policies_that_row_level_security_would_put_into_force_are_a_person_s_decision(place) -> None:
    place.admin.execute("CREATE POLICY old ON app.orders AS RESTRICTIVE USING (false)")
    reason = place.adopt("account_id").decisions.undecided["app.orders"].reason
    assert reason == (
        "enabling row level security would put its policies into force: old (restrictive, for ALL to PUBLIC USING"
        " false); drop them first"
    )


def test_a_declaration_by_hand_that_cannot_be_isolated_is_named(place) -> None:
    folder = place.output / "tools"
    folder.mkdir(parents=True)
    (folder / "own.toml").write_text(
        '[[table]]\nname = "app.orders"\ntenant = "nobody"\nscope = "x"\n[table.columns]\nid = { type = "integer" }\n'
    )
    with pytest.raises(CatalogError, match=r"app\.orders: it has no column nobody; correct `tenant`"):
        place.adopt("account_id")
