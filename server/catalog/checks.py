"""Find the mistakes in a catalog as a whole, without a database."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.catalog.declarations import RESERVED, CatalogFile, Search, SqlTool, Table, Through
from server.catalog.filters import Filters
from server.catalog.policy_problems import obstacles
from server.catalog.prompt import unknown_placeholders
from server.catalog.rollups import rollup_problems
from server.catalog.schema import matches
from server.catalog.sql_tool import DeclaredSqlTool
from server.catalog.summary import groups_of
from server.documents.configured import check_labels

_OF_EVERY_ANSWER = ("next_cursor", "as_of")


def problems_of(
    declared: Sequence[tuple[str, CatalogFile]], code_tools: Mapping[str, Sequence[str]], *, complete: bool
) -> Iterator[str]:
    """Yield one line for each mistake: file, entry, what is wrong, and the remedy.

    `code_tools` has the files of each tool in code; `complete` says that every entry could be read, so that a missing
    parent is a mistake.
    """
    tables = {table.name: table for _, content in declared for table in content.table}
    tools = {"whoami", *code_tools}.union(*(tools_in(content) for _, content in declared))
    for file, content in declared:
        for table in content.table:
            if complete or not isinstance(table.tenant, Through):
                yield from (f"{file}: table {problem}" for problem in obstacles(table, tables, None))
            yield from (f"{file}: table {table.name}: {problem}" for problem in _table_problems(table))
            yield from (f"{file}: table {table.name}: {one}" for one in rollup_problems(table, list(tables)))
        for tool in content.tool:
            yield from (f"{file}: tool {tool.name}: {problem}" for problem in _sql_problems(tool))
        for search in content.search:
            yield from (f"{file}: search {search.tool}: labels: {problem}" for problem in _search_problems(search))
        for prompt in content.prompt:
            for name in unknown_placeholders(prompt):
                where = f"{file}: prompt {prompt.name}: text"
                yield f"{where}: {{{name}}} is not an argument of the prompt; add it or correct the name"
            for name in prompt.tools if complete else ():
                if name not in tools:
                    yield f"{file}: prompt {prompt.name}: tools: there is no tool {name}; correct its name or remove it"
    yield from _repeated(declared, code_tools)


def tools_in(file: CatalogFile) -> list[str]:
    """Return the names of the tools that a file declares."""
    found = [one.tool for table in file.table for one in (table.list, table.summary) if one]
    return [*found, *(tool.name for tool in file.tool), *(search.tool for search in file.search)]


def names_a_tenant(argument: str) -> bool:
    """Whether an argument with this name would let a caller name a tenant."""
    return argument.lower() in {"tenant", "tenant_id"}


def _repeated(declared: Sequence[tuple[str, CatalogFile]], code_tools: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a problem for each name that is declared more than once, with the files."""
    named: dict[tuple[str, str], list[str]] = {("tool", "whoami"): ["the built-in tool"]}
    for name, files in code_tools.items():
        named.setdefault(("tool", name), []).extend(files)
    for file, content in declared:
        names = [("table", table.name) for table in content.table]
        names += [("prompt", prompt.name) for prompt in content.prompt]
        names += [("tool", name) for name in tools_in(content)]
        for one in names:
            named.setdefault(one, []).append(file)
    for (what, name), files in named.items():
        if len(files) > 1:
            where = ", ".join(dict.fromkeys(files))
            yield f"{where}: {what} {name}: is declared {len(files)} times; rename or remove all but one"


def _table_problems(table: Table) -> Iterator[str]:
    sort = (table.list.sort or "").removeprefix("-") if table.list else ""
    if sort and not (sort in table.columns and table.columns[sort].sort):
        yield f"list.sort: {sort} is not a column with sort = true; set that, or sort by another column"
    for name, column in table.columns.items():
        if column.sort_by is not None and column.sort_by in {table.tenant_column, table.column_of(name)}:
            yield f"columns.{name}.sort_by: must be another column than its own and the tenant's; correct or remove it"
    if sum(column.period for column in table.columns.values()) > 1:
        yield "several columns have period = true; keep it on one"
    try:
        ZoneInfo(table.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # "Europe" is a folder
        yield f"timezone: {table.timezone} is not known; write one such as Europe/Berlin or UTC"
    filters = Filters(table)
    yield from _argument_problems(table, filters)
    if table.list and table.rows_name in {*_OF_EVERY_ANSWER, *filters.day_names}:
        yield f"rows: {table.rows_name} is the name of another part of the answer; choose another"


def _argument_problems(table: Table, filters: Filters) -> Iterator[str]:
    names = [argument.name for argument in filters.arguments()]
    for name, times in Counter(names).items():
        if times > 1:
            yield f"columns: two filters need the same argument {name}; rename one of the columns"
        if name in RESERVED - {"period"}:
            yield f"columns.{name}: the tools already have an argument of this name; rename the column"
        if names_a_tenant(name):
            yield f"columns.{name}: no argument may name a tenant; remove its filter"
    for name, column in table.columns.items():
        if column.filter and table.column_of(name) == table.tenant_column and not names_a_tenant(name):
            yield f"columns.{name}: is the tenant's column, and no argument may name a tenant; remove its filter"
    groups = groups_of(table)
    wanted = sum(len(one.group) if isinstance(one.group, tuple) else bool(one.group) for one in table.columns.values())
    if len(groups) < wanted:
        yield "columns: two groups have the same name; rename one of the columns"


def _sql_problems(declared: SqlTool) -> Iterator[str]:
    for name, parameter in declared.parameters.items():
        if parameter.pattern is not None and not matches(parameter.pattern):
            yield f"parameters.{name}.pattern: is not a regular expression; correct it"
            return
        if names_a_tenant(name):
            yield f"parameters.{name}: no argument may name a tenant; the database adds it, so remove the parameter"
    try:
        wrong = DeclaredSqlTool(declared).wrong_defaults()
    except ValueError as error:
        yield f"sql: {error}"
    else:
        yield from (
            f"parameters.{name}.default: does not fit its own parameter: {said}; correct it" for name, said in wrong
        )


def _search_problems(search: Search) -> Iterator[str]:
    names = list(search.label_texts)
    if problem := check_labels(names):
        yield problem
    yield from (f"{name} is another argument of the tool; remove it" for name in names if name in {"query", "limit"})
