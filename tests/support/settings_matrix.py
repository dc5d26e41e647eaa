"""The settings matrix: what was tried of each setting, on the role, on the database and by the client's environment.

docs/database.md has the same rows.
"""

import contextlib
from collections.abc import Generator, Mapping
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg import sql

from support.examined_database import Examined

# Two values of each that change answers, or could, where nothing is done about it.
MATRIX: Mapping[str, tuple[str, str]] = {
    "DateStyle": ("SQL, DMY", "German, MDY"),
    "TimeZone": ("Asia/Kolkata", "America/St_Johns"),
    "IntervalStyle": ("sql_standard", "iso_8601"),
    "extra_float_digits": ("0", "-15"),
    "bytea_output": ("escape", "escape"),
    "standard_conforming_strings": ("off", "off"),
    "backslash_quote": ("off", "on"),
    "quote_all_identifiers": ("on", "on"),
    "search_path": ("app, public", "hostile, pg_catalog"),
    "client_encoding": ("LATIN1", "SQL_ASCII"),
    "lc_monetary": ("C.utf8", "POSIX"),
    "lc_numeric": ("C.utf8", "POSIX"),
    "lc_time": ("C.utf8", "POSIX"),
    "lc_messages": ("C.utf8", "POSIX"),
    "xmlbinary": ("hex", "hex"),
    "transform_null_equals": ("on", "on"),
    "array_nulls": ("off", "off"),
    "gin_fuzzy_search_limit": ("1", "2"),
    "default_transaction_isolation": ("serializable", "repeatable read"),
    "default_transaction_deferrable": ("on", "on"),
    "plan_cache_mode": ("force_generic_plan", "force_custom_plan"),
    "enable_indexscan": ("off", "off"),
    "jit": ("off", "on"),
}
# Only an administrator may set it, and so no client does.
_NOT_OF_CLIENTS = frozenset({"lc_messages"})
# What libpq sends for variables of its own.
_VARIABLES = {"DateStyle": "PGDATESTYLE", "TimeZone": "PGTZ", "client_encoding": "PGCLIENTENCODING"}


@contextlib.contextmanager
def on_the_role(database: Examined, values: Mapping[str, str]) -> Generator[None]:
    """Set them on the login in this database, which wins over all else that the server keeps."""
    name = database.url.rpartition("/")[2]
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        for setting, value in values.items():
            admin.execute(_alter(f"ROLE app_user IN DATABASE {name}", setting, value))
        try:
            yield
        finally:
            admin.execute(f"ALTER ROLE app_user IN DATABASE {name} RESET ALL".encode())


@contextlib.contextmanager
def on_the_database(database: Examined, values: Mapping[str, str]) -> Generator[None]:
    """Set them on the database, and take from the login what it has itself."""
    name = database.url.rpartition("/")[2]
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        own = admin.execute(
            "SELECT option_name, option_value FROM pg_roles, pg_options_to_table(rolconfig) WHERE rolname = 'app_user'"
        ).fetchall()
        taken = [(setting, value) for setting, value in own if setting.lower() in {one.lower() for one in values}]
        for setting, value in values.items():
            admin.execute(_alter(f"DATABASE {name}", setting, value))
        for setting, _ in taken:
            admin.execute(f"ALTER ROLE app_user RESET {setting}".encode())
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} RESET ALL".encode())
            for setting, value in taken:
                admin.execute(_alter("ROLE app_user", setting, value))


@contextlib.contextmanager
def in_the_environment(_database: Examined, values: Mapping[str, str]) -> Generator[None]:
    """Set them by the variables that libpq reads in every client."""
    with pytest.MonkeyPatch.context() as patch:
        options = {one: value for one, value in values.items() if one not in _NOT_OF_CLIENTS | _VARIABLES.keys()}
        patch.setenv(
            "PGOPTIONS", " ".join(f"-c {one}={value.replace(' ', chr(92) + ' ')}" for one, value in options.items())
        )
        for setting, variable in _VARIABLES.items():
            patch.setenv(variable, values[setting])
        yield


PLACES = {"role": on_the_role, "database": on_the_database, "environment": in_the_environment}


def _alter(what: str, setting: str, value: str) -> sql.Composed:
    parts = value.split(", ") if setting == "search_path" else [value]
    values = sql.SQL(", ").join(map(sql.Literal, parts))
    return sql.SQL("ALTER {} SET {} = {}").format(sql.SQL(cast("LiteralString", what)), sql.Identifier(setting), values)
