"""A migration in steps is applied one step at a time, and waits for busy tables without making others wait."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from server.administration import steps
from server.administration.migrations import migrate
from server.administration.steps import STEP, run_steps, steps_of
from server.dev.stack import Stack
from server.errors import StartupError

BUSY = f"""{STEP} first
CREATE TABLE IF NOT EXISTS one (id int);
{STEP} second
BEGIN;
SET LOCAL lock_timeout = '50ms';
ALTER TABLE busy ADD COLUMN IF NOT EXISTS extra int;
COMMIT;
"""


@pytest.fixture
def url(stack: Stack) -> Iterator[str]:
    with psycopg.connect(stack.admin_url, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE steps")
        try:
            yield urlsplit(stack.admin_url)._replace(path="/steps").geturl()
        finally:
            superuser.execute("DROP DATABASE steps WITH (FORCE)")


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE busy (id int)")
        yield connection


def test_a_text_without_marks_has_no_steps() -> None:
    assert steps_of("-- a comment\nSELECT 1;\n") == []


def test_text_before_the_first_mark_is_not_a_step() -> None:
    assert steps_of(f"-- comment\n{STEP} a\nSELECT 1;\n{STEP}\nSELECT 2;\n") == [
        ("a", "\nSELECT 1;\n"),
        ("", "\nSELECT 2;\n"),
    ]


def test_a_busy_table_is_tried_again_until_it_is_free(connection, url) -> None:
    free = threading.Event()
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE busy")
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other.rollback()
                free.set()

        run_steps(connection, "x.sql", steps_of(BUSY), pause)
    assert free.is_set()
    assert pauses == [0.05, 0.1, 0.2]
    assert connection.execute("SELECT extra FROM busy").fetchall() == []


def test_a_table_that_stays_busy_is_named_and_leaves_nothing_open(connection, url) -> None:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE busy")
        with pytest.raises(
            StartupError, match=r"step 2 of 2 \(second\) of the migration x\.sql could not lock its table"
        ):
            run_steps(connection, "x.sql", steps_of(BUSY), lambda _: None)
    # What came before stays, and the connection can be used.
    assert connection.execute("SELECT count(*) FROM one").fetchall() == [(0,)]


def test_a_step_that_fails_is_named_and_rolled_back(connection) -> None:
    text = f"{STEP} wrong\nBEGIN;\nCREATE TABLE two (id int);\nSELECT nothing;\nCOMMIT;\n"
    with pytest.raises(StartupError, match=r"step 1 of 1 \(wrong\) of the migration x\.sql failed and was rolled back"):
        run_steps(connection, "x.sql", steps_of(text))
    assert connection.execute("SELECT to_regclass('two')").fetchall() == [(None,)]


def test_a_deadlock_is_tried_again(connection) -> None:
    connection.execute("CREATE SEQUENCE tries")
    text = f"""{STEP} raises
DO $$ BEGIN
  IF nextval('tries') < 3 THEN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END IF;
END $$;
"""
    run_steps(connection, "x.sql", steps_of(text), lambda _: None)
    assert connection.execute("SELECT last_value FROM tries").fetchall() == [(3,)]


def test_a_file_is_recorded_once_all_its_steps_are_done(url, tmp_path, monkeypatch, connection) -> None:
    monkeypatch.setattr(steps, "_TRIES", 1)
    (tmp_path / "0001_x.sql").write_text(BUSY)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE busy")
        with pytest.raises(StartupError, match="second"):
            migrate(url, lambda _: None, folders=[str(tmp_path)])
    assert connection.execute("SELECT count(*) FROM tenantgate.own_migrations").fetchall() == [(0,)]
    told: list[str] = []
    migrate(url, told.append, folders=[str(tmp_path)])
    migrate(url, told.append, folders=[str(tmp_path)])
    assert [line for line in told if "0001_x" in line] == ["applied 0001_x.sql", "already there: 0001_x.sql"]
