"""The last steps to an own tenant column: each row must have a tenant, and the same tenant as its parent."""

from typing import Final, LiteralString

from server.catalog.protection.script import Script
from server.catalog.protection.way import Way, long_step, short_step
from server.errors import StartupError

# What happens to a child when its parent is deleted. The new foreign key must do the same as the old one; otherwise one
# of them would refuse what the other allows.
_ON_DELETE: Final[dict[str, LiteralString]] = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL"}


def required_steps(way: Way) -> list[Script]:
    """Return the steps that add a constraint against rows without a tenant."""
    always, foreign = way.foreign.not_null, way.foreign.name
    condition: LiteralString = "{tenant} IS NOT NULL" if always else "({tenant} IS NULL) = ({fk} IS NULL)"
    without = "" if always else f", other than those whose {foreign} is NULL, which no tenant sees today either"
    steps = [
        short_step(
            way,
            f"6. No row is to be without a tenant{without}. ACCESS EXCLUSIVE for less than a millisecond.",
            "ALTER TABLE {child} DROP CONSTRAINT IF EXISTS {required},\n  ADD CONSTRAINT {required} CHECK ("
            + condition
            + ") NOT VALID",
        ),
        long_step(
            way,
            "Reads every row, 0.07 s per million; nobody waits. If it fails, there are rows without a parent: "
            f"delete those whose {foreign} names none, or correct them.",
            "ALTER TABLE {child} VALIDATE CONSTRAINT {required}",
        ),
    ]
    if always:
        comment = "ACCESS EXCLUSIVE for less than a millisecond: what is proved is not read again."
        steps += [
            short_step(way, comment, "ALTER TABLE {child} ALTER COLUMN {tenant} SET NOT NULL"),
            short_step(way, "The same.", "ALTER TABLE {child} DROP CONSTRAINT {required}"),
        ]
    return steps


def reference_steps(way: Way) -> list[Script]:
    """Return the steps that add a foreign key, so that a row has the tenant of its parent."""
    action, deferrable = way.foreign_key() or ("a", False)
    if action not in _ON_DELETE:
        raise StartupError(
            f"{way.subject.table.name}: its foreign key {way.foreign.name} says ON DELETE SET DEFAULT, which the new "
            "key with the tenant cannot follow; change the foreign key first"
        )
    comment = (
        "7. This keeps the column right when a parent moves to another tenant. SHARE ROW EXCLUSIVE on both tables for "
        "less than a millisecond."
    )
    if deferrable:
        comment += (
            " DECIDE: the key that is there is DEFERRABLE, but now a parent has to be inserted before its children, in "
            "the same transaction as well."
        )
    statement: LiteralString = (
        "ALTER TABLE {child} DROP CONSTRAINT IF EXISTS {reference},\n"
        "  ADD CONSTRAINT {reference} FOREIGN KEY ({tenant}, {fk}) REFERENCES {parent} ({tenant}, {key})\n"
        "  ON UPDATE CASCADE ON DELETE " + _ON_DELETE[action] + " NOT VALID"
    )
    proof = "Reads both tables, 0.2 s per million rows; nobody waits."
    return [
        short_step(way, comment, statement),
        long_step(way, proof, "ALTER TABLE {child} VALIDATE CONSTRAINT {reference}"),
    ]
