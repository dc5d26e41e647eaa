"""Single mistakes in a file of the catalog, each with the sentence that an operator reads of it."""

HEAD = """
[[table]]
name = "shop.orders"
tenant = "account_id"
scope = "orders:read"
"""
TYPES = (
    "'text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'uuid', 'json', 'text[]', 'integer[]', "
    "'decimal[]', 'boolean[]', 'date[]', 'timestamp[]', 'uuid[]' or 'json[]'"
)
NO_KEY = "is not a key of the catalog; correct its name or remove it"
NO_SELECT = "sql: must be one SELECT; it starts with another word"
OWNER = 'must have either tenant or shared; write tenant = "its column", or shared = true for rows of every tenant'
WORD = "must begin with a letter and have contain only letters, digits and _, at most 63"
TOOL_WORD = "must begin with a letter and have contain only letters, digits, _ and -, at most 64"
NO_TENANT = "no argument may name a tenant"


def table(*lines: str, without: str = "") -> str:
    """Return a table with one column `id` and more lines."""
    head = "\n".join(line for line in HEAD.splitlines() if not (without and line.startswith(f"{without} =")))
    return "\n".join([head, 'columns.id = { type = "integer" }', *lines, ""])


def column(said: str, name: str = "amount") -> str:
    return table(f"columns.{name} = {{ {said} }}")


def tool(sql: str, parameter: str = "", *lines: str) -> str:
    """Return a SQL tool with one result column and, if given, the parameter `n`."""
    entry = ['[[tool]]\nname = "report"\ndescription = "A report."\nscope = "orders:read"', f"sql = '''{sql}'''"]
    entry += ['columns.a = { type = "integer" }']
    entry += [f'parameters.n = {{ description = "A number.", {parameter} }}'] if parameter else []
    return "\n".join([*entry, *lines, ""])


def parameter(said: str) -> str:
    return tool("SELECT :n AS a", said)


def search(labels: str) -> str:
    return f'[[search]]\ntool = "find"\ndescription = "Finds."\nscope = "documents"\nlabels = {labels}\n'


def prompt(text: str, *lines: str) -> str:
    return "\n".join(['[[prompt]]\nname = "ask"\ndescription = "Asks."', f'text = "{text}"', *lines, ""])


IN_FILE = {
    "no_schema": (
        table(without="name") + 'name = "orders"',
        'table orders: name: must be "schema.table", without quotes; a name with a dot in it cannot be declared',
    ),
    "no_name": (table(without="name"), "table number 1: name: is missing; add it"),
    "unknown_section": ("tables = 1", f"tables: {NO_KEY}"),
    "one_bracket": (
        '[table]\nname = "shop.orders"',
        "table: is a list of entries; write [[table]] with two brackets on each side",
    ),
    "instructions_empty": ('instructions = ""', "instructions: is empty; write something or remove it"),
    "instructions_number": ("instructions = 5", "instructions: must be a text in quotes"),
    "unquoted": ("instructions = all of it", "is not valid TOML: Invalid value (at line 1"),
    "key_twice": (
        table('scope = "orders:write"'),
        "is not valid TOML: Cannot overwrite a value (at line 7",
    ),
    "open_text": ('instructions = "all\n', "is not valid TOML: Illegal character '\\n' (at line 1"),
}
OF_TABLE = {
    "no_scope": (table(without="scope"), "scope: is missing; add it"),
    "two_scopes": (
        table(without="scope") + 'scope = "orders:read orders:write"',
        "scope: must be one scope, without blanks, quotes or backslashes, such as orders:read",
    ),
    "no_columns": (HEAD, "columns: is missing; add it"),
    "empty_columns": (HEAD + "columns = {}", "columns: is empty; declare at least one"),
    "unknown_key": (table('colour = "red"'), f"colour: {NO_KEY}"),
    "no_owner": (table(without="tenant"), OWNER),
    "two_owners": (table("shared = true"), OWNER),
    "tenant_true": (
        table("tenant = true", without="tenant"),
        'tenant: must be a column\'s name, or { through = "its foreign key", parent = "schema.table" }',
    ),
    "no_parent": (table('tenant = { through = "order_id" }', without="tenant"), "tenant.parent: is missing; add it"),
    "parent_key": (
        table('tenant = { through = "order_id", parent = "shop.parents", of = "id" }', without="tenant"),
        f"tenant.of: {NO_KEY}",
    ),
    "parent_undeclared": (
        table('tenant = { through = "parent_id", parent = "shop.parents" }', without="tenant"),
        "its parent shop.parents is not declared; declare it, so that its rows are limited too",
    ),
    "own_parent": (
        table('tenant = { through = "parent_id", parent = "shop.orders" }', without="tenant"),
        (
            "its parents form a cycle (shop.orders → shop.orders), and PostgreSQL refuses such policies; "
            "give one of these tables its own tenant column"
        ),
    ),
    "key_word": (table('key = "id"'), 'key: must be a list, such as ["a", "b"]'),
    "rows_word": (table('rows = "my orders"'), f"rows: {WORD}"),
    "rows_taken": (
        table('rows = "as_of"', 'list = { tool = "orders" }'),
        "rows: as_of is the name of another part of the answer; choose another",
    ),
    "rows_of_a_day": (
        table('rows = "placed_from"', 'list.tool = "a"', 'columns.placed_on = { type = "date", filter = "range" }'),
        "rows: placed_from is the name of another part of the answer; choose another",
    ),
    "unknown_zone": (
        table('timezone = "Mars/Base"'),
        "timezone: Mars/Base is not known; write one such as Europe/Berlin or UTC",
    ),
    "half_a_zone": (
        table('timezone = "Europe"'),
        "timezone: Europe is not known; write one such as Europe/Berlin or UTC",
    ),
    "zone_form": (
        table('timezone = "Berlin, Germany"'),
        "timezone: must be the name of a time zone, such as Europe/Berlin or UTC",
    ),
    "list_true": (table("list = true"), "list: must be a table of keys, in braces or under a header of its own"),
    "list_nameless": (table("list = { limit = 5 }"), "list.tool: is missing; add it"),
    "tool_name": (table('list = { tool = "query orders" }'), f"list.tool: {TOOL_WORD}"),
    "limits_crossed": (
        table('list = { tool = "a", limit = 200 }'),
        "list: limit is larger than max_limit; lower it",
    ),
    "limit_zero": (table('list = { tool = "a", limit = 0 }'), "list.limit: must be at least 1"),
    "limit_word": (table('list = { tool = "a", limit = "all" }'), "list.limit: must be a whole number"),
    "limit_huge": (table('list = { tool = "a", max_limit = 9999 }'), "list.max_limit: must be at most 1000"),
    "sort_other": (
        table('list = { tool = "a", sort = "-id" }'),
        "list.sort: id is not a column with sort = true; set that, or sort by another column",
    ),
    "sort_unknown": (
        table('list = { tool = "a", sort = "age" }'),
        "list.sort: age is not a column with sort = true; set that, or sort by another column",
    ),
    "sort_words": (
        table('list = { tool = "a", sort = "age desc" }'),
        'list.sort: must be the name of a declared column, with a "-" in front for descending',
    ),
    "groups_none": (table('summary = { tool = "a", max_groups = 0 }'), "summary.max_groups: must be at least 1"),
    "chart_word": (table('summary = { tool = "a", chart = "bars" }'), "summary.chart: must be true or false"),
    "two_periods": (
        table(*(f'columns.{one} = {{ type = "date", filter = "range", period = true }}' for one in ("made", "sent"))),
        "several columns have period = true; keep it on one",
    ),
    "same_argument": (
        table('columns.total = { type = "integer", filter = "range" }')
        + 'columns.min_total = { type = "integer", filter = true }',
        "columns: two filters need the same argument min_total; rename one of the columns",
    ),
    "same_group": (
        table(*(f'columns.{one} = {{ type = "date", group = ["week"] }}' for one in ("made", "sent")))
        + 'columns.made_week = { type = "text", group = true }',
        "columns: two groups have the same name; rename one of the columns",
    ),
}
OF_COLUMN = {
    "no_type": (column("filter = true"), "columns.amount.type: is missing; add it"),
    "postgres_type": (column('type = "numeric"'), f"columns.amount.type: must be one of {TYPES}; correct it"),
    "unknown_key": (column('type = "text", sorted = true'), f"columns.amount.sorted: {NO_KEY}"),
    "name": (column('type = "text"', '"total amount"'), f"columns.total amount: {WORD}"),
    "no_column": (
        column('type = "text", column = ""'),
        "columns.amount.column: is empty; write something or remove it",
    ),
    "filter_word": (
        column('type = "text", filter = "exact"'),
        'columns.amount.filter: must be true, false, "contains" or "range"',
    ),
    "sort_word": (column('type = "text", sort = "ascending"'), "columns.amount.sort: must be true or false"),
    "group_word": (
        column('type = "date", group = "week"'),
        'columns.amount.group: must be true, false, or a list of "day", "week", "month" and "year"',
    ),
    "group_length": (
        column('type = "date", group = ["week", "decade"]'),
        "columns.amount.group.1: must be one of 'day', 'week', 'month' or 'year'; correct it",
    ),
    "measures_word": (
        column('type = "integer", measures = "total"'),
        'columns.amount.measures: must be a list, such as ["a", "b"]',
    ),
    "measures_other": (
        column('type = "integer", measures = ["sum"]'),
        "columns.amount.measures.0: must be one of 'total', 'average', 'largest' or 'smallest'; correct it",
    ),
    "values_numbers": (column('type = "text", values = [1]'), "columns.amount.values.0: must be a text in quotes"),
    "max_length": (column('type = "text", max_length = 1'), "columns.amount.max_length: must be at least 2"),
    "filter_json": (
        column('type = "json", filter = true'),
        "columns.amount: a json column cannot have filter = true; remove it",
    ),
    "contains_number": (
        column('type = "integer", filter = "contains"'),
        'columns.amount: only a text column can have filter = "contains"; remove it',
    ),
    "range_text": (
        column('type = "text", filter = "range"'),
        'columns.amount: only numbers and times can have filter = "range"; write filter = true',
    ),
    "sort_list": (
        column('type = "text[]", sort = true'),
        "columns.amount: a text[] column cannot have sort; remove it",
    ),
    "sort_by_alone": (
        column('type = "decimal", sort_by = "cents"'),
        "columns.amount: sort_by needs sort = true; add that, or remove sort_by",
    ),
    "sort_by_itself": (
        column('type = "decimal", sort = true, sort_by = "amount"'),
        "columns.amount.sort_by: must be another column than its own and the tenant's; correct or remove it",
    ),
    "group_json": (column('type = "json", group = true'), "columns.amount: a json column cannot have group; remove it"),
    "group_moments": (
        column('type = "timestamp", group = true'),
        'columns.amount: a timestamp is grouped by time: write group = ["week", "month"]',
    ),
    "group_weeks_of_text": (
        column('type = "text", group = ["week"]'),
        "columns.amount: only a date or timestamp has a list in group; write group = true",
    ),
    "measure_text": (
        column('type = "text", measures = ["total"]'),
        "columns.amount: only an integer or decimal column has measures; remove them",
    ),
    "period_alone": (
        column('type = "date", period = true'),
        'columns.amount: period = true needs a date or timestamp with filter = "range"; add that, or remove period',
    ),
    "values_integer": (
        column('type = "integer", values = ["1"]'),
        "columns.amount: only a text column has values; remove them",
    ),
    "length_integer": (
        column('type = "integer", max_length = 5'),
        "columns.amount: only a text column has max_length; remove it",
    ),
    "minimum_text": (
        column('type = "text", minimum = 5'),
        "columns.amount: only a number has minimum and maximum; remove them",
    ),
    "minimum_crossed": (
        column('type = "integer", minimum = 5, maximum = 1'),
        "columns.amount: minimum is larger than maximum; swap them",
    ),
    "minimum_without_end": (column('type = "integer", minimum = -inf'), "columns.amount.minimum: must be a number"),
    "minimum_parts": (
        column('type = "integer", minimum = 0.5'),
        "columns.amount: minimum and maximum of an integer must be whole numbers; correct them",
    ),
    "decimals_integer": (
        column('type = "integer", decimals = 2'),
        "columns.amount: only a decimal column has decimals; remove it",
    ),
    "reserved": (
        column('type = "text", filter = true', "cursor"),
        "columns.cursor: the tools already have an argument of this name; rename the column",
    ),
    "names_a_tenant": (
        column('type = "text", filter = true', "tenant_id"),
        f"columns.tenant_id: {NO_TENANT}; remove its filter",
    ),
    "is_the_tenant": (
        column('column = "account_id", type = "text", filter = true', "account"),
        f"columns.account: is the tenant's column, and {NO_TENANT}; remove its filter",
    ),
}
OF_TOOL = {
    "two_statements": (
        tool("SELECT 1 AS a; DELETE FROM shop.orders"),
        "sql: must be one statement; remove what follows the semicolon",
    ),
    "insert": (tool("INSERT INTO shop.orders VALUES (1)"), NO_SELECT),
    "explain": (tool("EXPLAIN SELECT 1 AS a"), NO_SELECT),
    "comment_alone": (tool("-- later"), NO_SELECT),
    "no_sql": (tool("").replace("sql = ''''''\n", ""), "sql: is missing; add it"),
    "numbered": (
        tool("SELECT $1 AS a"),
        "sql: must not number its parameters ($1); declare them and write :name",
    ),
    "undeclared": (
        tool("SELECT :since AS a"),
        "sql: :since is not declared; add it under parameters, or, for a slice, put a blank after the colon",
    ),
    "slice": (
        tool("SELECT (ARRAY[1, 2])[1:last] AS a FROM shop.orders"),
        "sql: :last is not declared; add it under parameters, or, for a slice, put a blank after the colon",
    ),
    "other_case": (
        tool("SELECT :N AS a", 'type = "integer"'),
        "sql: :N is not declared; add it under parameters, or, for a slice, put a blank after the colon",
    ),
    "unused": (
        tool("SELECT 1 AS a", 'type = "integer"'),
        "sql: the parameter n is declared and not used; write :n or remove it",
    ),
    "in_a_text": (
        tool("SELECT ':n' AS a", 'type = "integer"'),
        "sql: the parameter n is declared and not used; write :n or remove it",
    ),
    "in_a_comment": (
        tool("SELECT 1 AS a -- :n\n/* :n */", 'type = "integer"'),
        "sql: the parameter n is declared and not used; write :n or remove it",
    ),
    "in_a_name": (
        tool('SELECT 1 AS ":n"', 'type = "integer"'),
        "sql: the parameter n is declared and not used; write :n or remove it",
    ),
    "no_columns": (tool("SELECT 1").replace('columns.a = { type = "integer" }\n', ""), "columns: is missing; add it"),
    "column_type": (
        tool("SELECT 1 AS a", "", 'columns.b = { type = "money" }'),
        f"columns.b.type: must be one of {TYPES}; correct it",
    ),
    "rows": (tool("SELECT 1 AS a", "", "max_rows = 0"), "max_rows: must be at least 1"),
    "no_description": (
        tool("SELECT :n AS a", "", 'parameters.n = { type = "date" }'),
        "parameters.n.description: is missing; add it",
    ),
    "parameter_type": (
        parameter('type = "json"'),
        (
            "parameters.n.type: must be one of 'text', 'integer', 'decimal', 'boolean', 'date', 'timestamp', 'uuid', "
            "'text[]', 'integer[]' or 'uuid[]'; correct it"
        ),
    ),
    "pattern": (
        parameter('type = "text", pattern = "["'),
        "parameters.n.pattern: is not a regular expression; correct it",
    ),
    "pattern_number": (
        parameter('type = "integer", pattern = "5"'),
        "parameters.n: only a text parameter has values, pattern and max_length; remove them",
    ),
    "minimum_text": (
        parameter('type = "text", minimum = 5'),
        "parameters.n: only an integer or decimal parameter has minimum and maximum; remove them",
    ),
    "required_default": (
        parameter('type = "integer", required = true, default = 5'),
        "parameters.n: a required parameter has no default; remove one of the two",
    ),
    "default_outside": (
        parameter('type = "integer", maximum = 5, default = 10'),
        "parameters.n.default: does not fit its own parameter: Input should be less than or equal to 5; correct it",
    ),
    "default_word": (
        parameter('type = "integer", default = "all"'),
        (
            "parameters.n.default: does not fit its own parameter: Input should be a valid integer, "
            "without quotation marks; correct it"
        ),
    ),
    "default_value": (
        parameter('type = "text", values = ["a", "b"], default = "c"'),
        "parameters.n.default: does not fit its own parameter: Input should be 'a' or 'b'; correct it",
    ),
    "default_date": (
        parameter('type = "date", default = 2026-01-31'),
        "parameters.n.default: must be a text, a number, true or false; a date is a text, and a list has no default",
    ),
    "tenant": (
        tool("SELECT :Tenant_ID AS a", "", 'parameters.Tenant_ID = { type = "text", description = "Whose." }'),
        f"parameters.Tenant_ID: {NO_TENANT}; the database adds it, so remove the parameter",
    ),
}
OF_SEARCH = {
    "tenant": (
        search('["tenant_id"]'),
        "labels: the label 'tenant_id' decides what a caller may see, so no caller may choose it; remove it",
    ),
    "tier": (
        search('{ tier = "The tier." }'),
        "labels: the label 'tier' decides what a caller may see, so no caller may choose it; remove it",
    ),
    "argument": (search('["query"]'), "labels: query is another argument of the tool; remove it"),
    "word": (search('"kind"'), "labels: must be a list of names, or a table with a text for each name"),
    "form": (search('["a-b"]'), f"labels.0: {WORD}"),
    "many": (
        search(str([f"label{n}" for n in range(9)])),
        "labels: there are 9 labels, and a search takes at most 3; remove some",
    ),
    "name_of_the_tool": (search("[]") + 'name = "find"', f"name: {NO_KEY}"),
}
OF_PROMPT = {
    "placeholder": (
        prompt("Look for {topic}."),
        "text: {topic} is not an argument of the prompt; add it or correct the name",
    ),
    "tools_word": (prompt("Go.", 'tools = "find"'), 'tools: must be a list, such as ["a", "b"]'),
    "tools_unknown": (
        prompt("Go.", 'tools = ["fnid"]'),
        "tools: there is no tool fnid; correct its name or remove it",
    ),
    "no_text": (prompt("Go.").replace('text = "Go."', ""), "text: is missing; add it"),
}
MISTAKES = {
    f"{kind}: {name}": (text, f"{place}{sentence}")
    for kind, place, found in [
        ("file", "", IN_FILE),
        ("table", "table shop.orders: ", OF_TABLE),
        ("column", "table shop.orders: ", OF_COLUMN),
        ("tool", "tool report: ", OF_TOOL),
        ("search", "search find: ", OF_SEARCH),
        ("prompt", "prompt ask: ", OF_PROMPT),
    ]
    for name, (text, sentence) in found.items()
}
