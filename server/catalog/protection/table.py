"""The SQL that protects a table: policies before ENABLE, grants last, in one transaction."""

from collections.abc import Iterable
from typing import Final

from psycopg import sql

from server.catalog.declarations import Through
from server.catalog.policies import expression
from server.catalog.protection.exposure import ExistingPolicy, losers, policies_on
from server.catalog.protection.grants import write_grants
from server.catalog.protection.indexes import write_indexes
from server.catalog.protection.script import Script, block, listed
from server.catalog.protection.subject import Subject
from server.catalog.rollups import rollup_of

FLOOR: Final = "tenant_floor"
READS: Final = "tenant_reads"
AS_BEFORE: Final = "as_before"


def protect_table(subject: Subject, *, indexes: bool = True) -> Script:
    """Return the SQL of a table; with `indexes` false, without its missing indexes."""
    script = Script()
    script.say(
        f"Protects {subject.table.name}: {_whose_rows(subject)}. Run it as an administrator: a superuser, or a member "
        "of the owners of the table and of the schema tenancy. It can be run again. In a file of your own migrations, "
        "leave out BEGIN and COMMIT: each file is one transaction there."
    )
    _write_decisions(script, subject)
    if indexes:
        write_indexes(script, subject)
    script.gap()
    script.begin()
    if isinstance(subject.table.tenant, Through):
        script.gap()
        script.say("The keys of a parent without protection are those of all tenants, so its own SQL comes first.")
        require_protected(script, [subject.table.tenant.parent], subject.bound)
    if subject.keeps_policies:
        _keep_policies(script, subject)
    write_policies(script, subject)
    write_grants(script, subject)
    script.gap()
    script.run(sql.SQL("COMMIT"))
    if rollup := rollup_of(subject.table):
        script.gap()
        script.say(f"Its roll-up has SQL of its own: `tenantgate tools sql {rollup.name}`.")
    return script


def require_protected(script: Script, names: Iterable[str], roles: Iterable[str]) -> None:
    """Add SQL that fails unless each of the tables has the floor policy for each of the roles."""
    expected = [(name, role) for name in names for role in roles]
    for name, role in expected:
        reason = f"{name} is not protected for {role} yet; run the SQL of `tenantgate tools sql {name}` first"
        body = sql.SQL(
            "\nBEGIN\n  IF NOT EXISTS (\n    SELECT FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid\n"
            "    WHERE c.oid = to_regclass({}) AND c.relrowsecurity AND p.polname = {}\n"
            "      AND NOT p.polpermissive AND to_regrole({}) = ANY (p.polroles)) THEN\n"
            "    RAISE EXCEPTION USING MESSAGE = {};\n  END IF;\nEND\n"
        ).format(
            sql.Literal(sql.Identifier(*name.split(".")).as_string()),
            sql.Literal(FLOOR),
            sql.Literal(sql.Identifier(role).as_string()),
            sql.Literal(reason),
        )
        script.run(sql.SQL("DO {}").format(block(body)))


def write_policies(script: Script, subject: Subject) -> None:
    """Add the floor, the reading policy and the policy `as_before` for other roles, then enable row level security."""
    condition, roles = expression(subject.table, subject.facts), listed(subject.bound)
    script.gap()
    script.say("The floor: restrictive, so no other policy, of today or later, can show more than the tenant's rows.")
    floor = sql.SQL("AS RESTRICTIVE FOR ALL TO {}\n  USING ({})\n  WITH CHECK ({})").format(roles, condition, condition)
    _write_policy(script, subject, FLOOR, floor)
    script.say("What may be read: the same condition, word for word, so that it is computed once.")
    _write_policy(script, subject, READS, sql.SQL("FOR SELECT TO {}\n  USING ({})").format(roles, condition))
    if not subject.own.row_security:
        _write_as_before(script, subject)
    script.say("Now that the policies stand. Not FORCE: the owner works as before, pg_dump included.")
    script.run(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(subject.name))


def _whose_rows(subject: Subject) -> str:
    tenant = subject.table.tenant
    if isinstance(tenant, Through):
        return f"a row belongs to the tenant of the row of {tenant.parent} that its {tenant.through} names"
    return f"a row belongs to the tenant in {tenant}" if tenant else "every tenant reads the same rows"


def _write_policy(script: Script, subject: Subject, name: str, rest: sql.Composable) -> None:
    script.run(sql.SQL("DROP POLICY IF EXISTS {} ON {}").format(sql.Identifier(name), subject.name))
    script.run(sql.SQL("CREATE POLICY {} ON {} {}").format(sql.Identifier(name), subject.name, rest))


def _write_as_before(script: Script, subject: Subject) -> None:
    before = subject.users().before
    if not before:
        script.say("Nobody else can read or write it today but the owner and those whom no policy binds.")
        return
    script.say(
        "Whoever else can read or write it today goes on as before; otherwise they would see no row. Add a role that "
        "gets a grant later (ALTER POLICY … TO). No policy gives back COPY … FROM and pg_dump: a role that does either "
        "must own the table or have BYPASSRLS."
    )
    rest = sql.SQL("FOR ALL TO {}\n  USING (true)\n  WITH CHECK (true)").format(listed(before))
    _write_policy(script, subject, AS_BEFORE, rest)


def _write_decisions(script: Script, subject: Subject) -> None:
    """Say what a person has to decide about policies that the table already has, now or after ENABLE."""
    existing = [one for one in policies_on(subject.connection, subject.relation) if one.name not in {FLOOR, READS}]
    foreign = [one for one in existing if one.name != AS_BEFORE]
    if not subject.own.row_security and not foreign:
        return
    lost = [role for role, _ in losers(subject.connection, subject.table.name, subject.login)]
    lost = [role for role in lost if role not in subject.bound] if subject.own.row_security else []
    script.gap()
    if (foreign and not subject.keeps_policies) or lost:
        script.say("DECIDE FIRST what is said here.")
    if subject.own.row_security:
        script.say(
            f"Row level security is on already, so no policy {AS_BEFORE} is written: it could widen the rules that the "
            "table has."
        )
    else:
        script.say("The table has policies already, and ENABLE below puts them into force.")
    script.say("These policies stay as they are:" if existing else "It has no policies but those below.")
    for policy in existing:
        script.say(_described(policy))
    if not subject.keeps_policies:
        _write_misdirected(script, subject, existing)
    if lost:
        script.say(
            f"No policy is for these roles, so they see nothing though they have grants: {', '.join(lost)}. Name each "
            "of them in a policy if it should see rows."
        )


def _keep_policies(script: Script, subject: Subject) -> None:
    """Replace PUBLIC and the login by the roles that use the table today, in each policy that names one of them."""
    users = subject.users().before or (subject.own.owner,)
    for policy in policies_on(subject.connection, subject.relation):
        if policy.name in {FLOOR, READS, AS_BEFORE} or not {"PUBLIC", *subject.bound} & set(policy.roles):
            continue
        named = [role for role in policy.roles if role not in {"PUBLIC", *subject.bound}]
        roles = list(dict.fromkeys([*named, *(users if "PUBLIC" in policy.roles else ())])) or [subject.own.owner]
        script.gap()
        script.say(
            f"{policy.name} goes on for those who can use the table today, and no longer binds {subject.login}. A role "
            "that gets a grant later sees no row until a policy names it."
        )
        script.run(
            sql.SQL("ALTER POLICY {} ON {} TO {}").format(sql.Identifier(policy.name), subject.name, listed(roles))
        )


def _write_misdirected(script: Script, subject: Subject, existing: list[ExistingPolicy]) -> None:
    before = subject.users().before
    for policy in existing:
        if {"PUBLIC", *subject.bound} & set(policy.roles):
            script.say(
                f"The policy {policy.name} is for {subject.login} too. The floor still limits what it shows, but if it "
                "asks for a setting, queries fail, and if it is restrictive, it can hide every row. Name those whom it "
                "is meant for:"
            )
            meant = listed(before) if before else sql.SQL("CURRENT_USER")
            script.suggest(
                sql.SQL("ALTER POLICY {} ON {} TO {}").format(sql.Identifier(policy.name), subject.name, meant)
            )


def _described(policy: ExistingPolicy) -> str:
    kind = "permissive" if policy.permissive else "restrictive"
    using = f" USING {policy.condition}" if policy.condition else ""
    check = f" WITH CHECK {policy.check}" if policy.check else ""
    return f"{policy.name}: {kind}, FOR {policy.command}, TO {', '.join(policy.roles)}{using}{check}"
