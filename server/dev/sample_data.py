"""Load the sample into a development database: tenants, claims, and who belongs where."""

from importlib.resources import files
from typing import Any, LiteralString, cast

import psycopg

from server.dev.people import PEOPLE


def load_sample(connection: psycopg.Connection[Any], issuer: str) -> None:
    """Place the claims relative to today and map the sample people, as `issuer` names them, to their tenants."""
    text = (files("sql") / "sample" / "sample.sql").read_text(encoding="utf-8")
    with connection.transaction():
        connection.execute(cast("LiteralString", text))
        # A development issuer's address changes with its port; its people's old mappings mean nobody.
        connection.execute("DELETE FROM app.user_tenants WHERE issuer ~ '^http://127[.]0[.]0[.]1:'")
        for person in PEOPLE:
            if person.tenant is not None:
                connection.execute(
                    "INSERT INTO app.user_tenants (issuer, user_sub, tenant_id) VALUES (%s, %s, %s)",
                    (issuer, person.subject, person.tenant),
                )
