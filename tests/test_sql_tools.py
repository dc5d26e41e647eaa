"""SQL tools over HTTP: their parameters, what their statements may say, and how each type of result is shown."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from support.sql import SqlServer, declared, sql_server

from server.dev.stack import Stack

TYPES = ["text", "integer", "decimal", "boolean", "date", "timestamp", "uuid", "text[]", "integer[]", "uuid[]"]
NAMES = {kind: f"a_{kind.removesuffix('[]')}{'s' if kind.endswith('[]') else ''}" for kind in TYPES}
ECHO = declared(
    "echo",
    f"SELECT {', '.join(f':{name} AS {name}' for name in NAMES.values())}",
    {name: kind for kind, name in NAMES.items()},
    {name: f'type = "{kind}"' for kind, name in NAMES.items()},
)
LIMITED = declared(
    "limited",
    "SELECT concat_ws(' ', :state, :code, :few, :share, :short, :chosen) AS said",
    {"said": "text"},
    {
        "state": 'type = "text", values = ["open", "closed"], default = "open"',
        "code": """type = "text", pattern = '^CLM-\\d+$'""",
        "few": 'type = "integer", minimum = 1, maximum = 10, default = 3',
        "share": 'type = "decimal", minimum = 0, maximum = 0.5, default = 0.25',
        "short": 'type = "text", max_length = 5',
        "chosen": 'type = "text[]", values = ["a", "b"]',
    },
)
NEEDED = declared("needed", "SELECT :day AS day", {"day": "date"}, {"day": 'type = "date", required = true'})
DEFAULTS = declared(
    "defaults",
    "SELECT :since AS since, :moment AS moment, :wanted AS wanted, :id AS id, :rate AS rate",
    {"since": "date", "moment": "timestamp", "wanted": "boolean", "id": "uuid", "rate": "decimal"},
    {
        "since": 'type = "date", default = "2026-01-31"',
        "moment": 'type = "timestamp", default = "2026-01-31T12:00:00+02:00"',
        "wanted": 'type = "boolean", default = false',
        "id": 'type = "uuid", default = "6B1F0C9E-0F6A-4D51-9A35-2F1F4D1F0A01"',
        "rate": 'type = "decimal", default = 0.1',
    },
)
NUMBER = {"number": "text"}
STATEMENTS = {
    "open_or_all": (
        "SELECT claim_number AS number FROM app.claims WHERE :status IS NULL OR status = :status ORDER BY 1",
        NUMBER,
        {"status": 'type = "text"'},
    ),
    "among": (
        "SELECT claim_number AS number FROM app.claims WHERE :statuses IS NULL OR status = ANY (:statuses) ORDER BY 1",
        NUMBER,
        {"statuses": 'type = "text[]"'},
    ),
    "in_another_order": (
        "SELECT (:second || '-' || :first || '-' || :second) AS said",
        {"said": "text"},
        {"first": 'type = "text", required = true', "second": 'type = "text", required = true'},
    ),
    "joined": (
        """
        SELECT t.name AS tenant, c.status, count(*) AS claims, sum(c.claim_amount) AS total
        FROM app.claims AS c JOIN tenancy.tenants AS t USING (tenant_id)
        GROUP BY GROUPING SETS ((t.name, c.status), (t.name)) ORDER BY c.status NULLS LAST
        """,
        {"tenant": "text", "status": "text", "claims": "integer", "total": "decimal"},
        {},
    ),
    "windowed": (
        """
        WITH ranked AS (
          SELECT claim_number, claim_amount, rank() OVER (ORDER BY claim_amount DESC) AS place,
                 round(claim_amount / sum(claim_amount) OVER (), 2) AS share
          FROM app.claims
        )
        SELECT claim_number AS number, place, share FROM ranked WHERE place <= :most ORDER BY place
        """,
        NUMBER | {"place": "integer", "share": "decimal"},
        {"most": 'type = "integer", default = 2'},
    ),
    "odd_signs": (
        """
        -- What may stand in a text: :most, $1, ;
        /* and here: /* :most */ :most */
        SELECT ':most' || $q$ :most;$q$ || E'\\':most' AS text, 'a%b_c' LIKE 'a\\%b\\_c' AS matched,
               '12'::integer + :most AS added, (ARRAY[1, 2, 3])[1: :most] AS slice, 7 % 4 AS rest,
               '{"a": 1}'::jsonb ? 'a' AS has, '{"a": {"b": 2}}'::jsonb #>> '{a,b}' AS inner_value,
               5 AS "quoted :most"
        ; -- the end, :most and no line break""",
        {
            "text": "text",
            "matched": "boolean",
            "added": "integer",
            "slice": "integer[]",
            "rest": "integer",
            "has": "boolean",
            "inner_value": "text",
        },
        {"most": 'type = "integer", default = 2'},
    ),
    "aliased": (
        "SELECT to_jsonb(c) ->> 'claim_number' AS number FROM app.claims AS c ORDER BY 1",
        NUMBER,
        {},
    ),
    "without_select": ("VALUES (1, 'a'), (2, NULL)", {"column1": "integer", "column2": "text"}, {}),
    "in_brackets": ("(SELECT 1 AS n) UNION ALL (SELECT 2) ORDER BY n DESC", {"n": "integer"}, {}),
    "not_all_columns": (
        "SELECT 1 AS shown, claim_number AS left_out FROM app.claims LIMIT 1",
        {"shown": "integer"},
        {},
    ),
}
RESULTS: dict[str, list[tuple[str, Any]]] = {
    "text": [
        ("'plain'", "plain"),
        ("'A line' || chr(10) || chr(9) || 'another'", "A line\n\tanother"),
        ("'turned ' || chr(8238) || 'round'", "turned \N{REPLACEMENT CHARACTER}round"),
        ("12", "12"),
        ("interval '1 day 2 hours'", "1 day 02:00:00"),
        ("repeat('x', 4001)", "x" * 3999 + "…"),
    ],
    "integer": [("7::smallint", 7), ("9223372036854775807", 2**63 - 1), ("2.5", 3)],
    "decimal": [
        ("2400.00::numeric(10,2)", "2400.00"),
        ("0.1::real", "0.1"),
        ("12", "12"),
        ("'NaN'::numeric", "NaN"),
        ("'infinity'::float8", "Infinity"),
        ("'$1,234.50'::money::numeric", "1234.50"),
    ],
    "boolean": [("true", True), ("'off'", False)],
    "date": [
        ("DATE '2026-01-31'", "2026-01-31"),
        ("TIMESTAMP '2026-01-31 23:59'", "2026-01-31"),
        ("DATE 'infinity'", "infinity"),
        ("DATE '0044-03-15 BC'", "0044-03-15 BC"),
    ],
    "timestamp": [
        ("TIMESTAMPTZ '2026-01-31 12:00+02'", "2026-01-31T10:00:00Z"),
        ("TIMESTAMPTZ '2026-01-31 12:00:00.999+00'", "2026-01-31T12:00:00Z"),
        ("TIMESTAMPTZ '-infinity'", "-infinity"),
    ],
    "uuid": [("'6B1F0C9E-0F6A-4D51-9A35-2F1F4D1F0A01'", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01")],
    "json": [
        ("""'{"a": [1, null, 1.50]}'::jsonb""", {"a": [1, None, 1.5]}),
        ("'[1]'::json", [1]),
        ("'null'::jsonb", None),
        ("ARRAY['a', 'b']", ["a", "b"]),
        ("ROW(1, 'a')", {"f1": 1, "f2": "a"}),
        ("to_jsonb('x' || chr(8238))", "x\N{REPLACEMENT CHARACTER}"),
        ("to_jsonb(repeat('x', 20000))", '"' + "x" * 19_998 + "…"),
    ],
    "text[]": [("ARRAY['a', NULL, 'b']", ["a", None, "b"]), ("'{}'::text[]", []), ("'{x,y}'", ["x", "y"])],
    "integer[]": [("ARRAY[3, 1]", [3, 1]), ("ARRAY[[1, 2], [3, 4]]", [1, 2, 3, 4])],
    "decimal[]": [("ARRAY[1.50, 2]", ["1.50", "2"])],
    "boolean[]": [("ARRAY[true, NULL]", [True, None])],
    "date[]": [("ARRAY[DATE '2026-01-31']", ["2026-01-31"])],
    "timestamp[]": [("ARRAY[TIMESTAMPTZ '2026-01-31 12:00+00']", ["2026-01-31T12:00:00Z"])],
    "uuid[]": [("ARRAY['6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01'::uuid]", ["6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01"])],
    "json[]": [("""ARRAY['{"a": 1}'::jsonb, NULL]""", [{"a": 1}, None])],
}


def result_tool(kind: str) -> str:
    """Return the tool whose columns are the examples of one type, and NULL as the last."""
    values = [*(said for said, _ in RESULTS[kind]), "NULL"]
    columns = {f"v{place}": kind for place in range(len(values))}
    return declared(
        f"shows_{kind.replace('[]', 's')}",
        "SELECT " + ",\n".join(f"{said} AS v{place}" for place, said in enumerate(values)),
        columns,
    )


def cut_tool(name: str, most: int) -> str:
    return declared(name, "SELECT claim_number AS number FROM app.claims ORDER BY 1", NUMBER, more=f"max_rows = {most}")


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    entries = [ECHO, LIMITED, NEEDED, DEFAULTS, cut_tool("two_at_most", 2), cut_tool("three_at_most", 3)]
    entries += [declared(name, *parts) for name, parts in STATEMENTS.items()]
    entries += [result_tool(kind) for kind in RESULTS]
    with sql_server(stack, tmp_path_factory.mktemp("reports"), "".join(entries)) as served:
        yield served


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        ("text", " Acme & Söhne '; -- ", "Acme & Söhne '; --"),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("decimal", "12345678901234567890.123", "12345678901234567890.123"),
        ("decimal", 0.1, "0.1"),
        ("boolean", False, False),
        ("date", "2024-02-29", "2024-02-29"),
        ("timestamp", "2026-01-31T12:00:00.5+02:00", "2026-01-31T10:00:00Z"),
        ("uuid", "6B1F0C9E-0F6A-4D51-9A35-2F1F4D1F0A01", "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01"),
        ("text[]", ["a,b", '"', "{}", "NULL"], ["a,b", '"', "{}", "NULL"]),
        ("integer[]", [3, -1], [3, -1]),
        ("uuid[]", ["6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01"], ["6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01"]),
    ],
)
def test_an_argument_of_each_type_reaches_the_database_as_that_type(server, kind, given, shown) -> None:
    (row,) = server.rows("echo", **{NAMES[kind]: given})
    assert row == dict.fromkeys(NAMES.values()) | {NAMES[kind]: shown}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", 5),
        ("text", ""),
        ("text", "   "),
        ("text", "x" * 1_001),
        ("text", "a\u202eb"),
        ("integer", "5"),
        ("integer", 1.5),
        ("integer", True),
        ("integer", 2**63),
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", "five"),
        ("decimal", "1e200"),
        ("boolean", 1),
        ("boolean", "true"),
        ("date", "31.01.2026"),
        ("date", "2026-02-30"),
        ("timestamp", "2026-01-31T12:00:00"),
        ("timestamp", "yesterday"),
        ("uuid", "6b1f0c9e"),
        ("text[]", "a"),
        ("text[]", []),
        ("text[]", ["a"] * 101),
        ("text[]", ["a", 1]),
        ("integer[]", [1, "2"]),
        ("uuid[]", ["x"]),
    ],
)
def test_an_argument_of_another_type_is_named_and_nothing_is_read(server, kind, given) -> None:
    result = server.mike.call("echo", **{NAMES[kind]: given})
    said = result["content"][0]["text"]
    assert result["isError"]
    assert said.startswith(f"The arguments were refused and nothing was read: {NAMES[kind]}: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"state": "lost"}, "state: Input should be 'open' or 'closed'"),
        ({"code": "CLM-A"}, "code: "),
        ({"few": 0}, "few: Input should be greater than or equal to 1"),
        ({"few": 11}, "few: Input should be less than or equal to 10"),
        ({"share": "0.51"}, "share: Input should be less than or equal to 0.5"),
        ({"short": "longer"}, "short: String should have at most 5 characters"),
        ({"chosen": ["a", "c"]}, "chosen: Input should be 'a' or 'b'"),
        ({"few": 0, "share": 1}, "few: "),
        ({"tenant_id": "broker-b"}, "unknown argument 'tenant_id'"),
        ({"State": "open"}, "unknown argument 'State'"),
    ],
)
def test_an_argument_outside_its_limits_is_refused_with_what_is_allowed(server, given, said) -> None:
    result = server.mike.call("limited", **given)
    assert result["isError"]
    assert said in result["content"][0]["text"]


def test_arguments_within_their_limits_are_accepted(server) -> None:
    (row,) = server.rows("limited", state="closed", code="CLM-7", few=10, share="0.50", short="exact", chosen=["b"])
    assert row == {"said": "closed CLM-7 10 0.50 exact {b}"}


def test_a_default_stands_for_an_argument_that_is_left_out(server) -> None:
    assert server.rows("limited") == [{"said": "open 3 0.25"}]
    (row,) = server.rows("defaults")
    assert row == {
        "since": "2026-01-31",
        "moment": "2026-01-31T10:00:00Z",
        "wanted": False,
        "id": "6b1f0c9e-0f6a-4d51-9a35-2f1f4d1f0a01",
        "rate": "0.1",
    }
    assert server.rows("defaults", wanted=True, rate=2)[0] == row | {"wanted": True, "rate": "2"}


def test_an_argument_that_is_null_is_one_that_is_left_out(server) -> None:
    assert server.rows("echo", **dict.fromkeys(NAMES.values())) == [dict.fromkeys(NAMES.values())]
    assert server.rows("limited", few=None) == server.rows("limited")
    assert "day: Input should be a valid date" in server.mike.call("needed", day=None)["content"][0]["text"]


def test_a_required_argument_is_asked_for(server) -> None:
    assert "day: Field required" in server.mike.call("needed")["content"][0]["text"]
    assert server.rows("needed", day="2026-01-31") == [{"day": "2026-01-31"}]


def test_a_model_reads_the_limits_of_each_argument(server) -> None:
    schema = server.described("limited")["inputSchema"]
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    state = {"type": "string", "enum": ["open", "closed"], "default": "open", "description": "P."}
    assert schema["properties"]["state"] == state
    few = {"type": "integer", "minimum": 1, "maximum": 10, "default": 3, "description": "P."}
    assert schema["properties"]["few"] == few
    assert schema["properties"]["code"]["pattern"] == r"^CLM-\d+$"
    assert schema["properties"]["short"]["maxLength"] == 5
    assert server.described("needed")["inputSchema"]["required"] == ["day"]
    assert server.described("needed")["inputSchema"]["properties"]["day"]["format"] == "date"


@pytest.mark.parametrize(
    ("tool", "given", "numbers"),
    [
        ("open_or_all", {}, [1, 2, 3]),
        ("open_or_all", {"status": "open"}, [1]),
        ("open_or_all", {"status": "denied"}, []),
        ("among", {}, [1, 2, 3]),
        ("among", {"statuses": ["open", "approved", "nothing"]}, [1, 3]),
        ("among", {"statuses": ["nothing"]}, []),
    ],
)
def test_a_filter_that_is_left_out_is_null_and_does_not_filter(server, tool, given, numbers) -> None:
    assert server.rows(tool, **given) == [{"number": f"CLM-A-00{number}"} for number in numbers]


def test_parameters_may_stand_in_any_order_and_more_than_once(server) -> None:
    assert server.rows("in_another_order", first="a", second="b") == [{"said": "b-a-b"}]


def test_joins_and_aggregates_count_the_tenants_own_rows(server) -> None:
    own = "Broker A Insurance Services"
    assert server.rows("joined") == [
        {"tenant": own, "status": "approved", "claims": 1, "total": "1275.25"},
        {"tenant": own, "status": "open", "claims": 1, "total": "2400.00"},
        {"tenant": own, "status": "pending", "claims": 1, "total": "8150.50"},
        {"tenant": own, "status": None, "claims": 3, "total": "11825.75"},
    ]


def test_window_functions_rank_the_tenants_own_rows(server) -> None:
    first = {"number": "CLM-A-002", "place": 1, "share": "0.69"}
    assert server.rows("windowed") == [first, {"number": "CLM-A-001", "place": 2, "share": "0.20"}]
    assert server.rows("windowed", most=1) == [first]


def test_a_name_in_a_text_or_comment_is_not_a_parameter_and_every_character_may_be_used(server) -> None:
    (row,) = server.rows("odd_signs")
    assert row == {
        "text": ":most :most;':most",
        "matched": True,
        "added": 14,
        "slice": [1, 2],
        "rest": 3,
        "has": True,
        "inner_value": "2",
    }


def test_an_alias_of_any_name_means_the_operators_own_table(server) -> None:
    assert server.rows("aliased") == [{"number": f"CLM-A-00{number}"} for number in (1, 2, 3)]


def test_only_the_declared_columns_are_shown(server) -> None:
    assert server.rows("not_all_columns") == [{"shown": 1}]
    assert server.rows("without_select") == [{"column1": 1, "column2": "a"}, {"column1": 2, "column2": None}]
    assert server.rows("in_brackets") == [{"n": 2}, {"n": 1}]


def test_the_answer_says_when_rows_were_cut(server) -> None:
    cut = server.mike.call("two_at_most")["structuredContent"]
    assert cut == {"rows": [{"number": "CLM-A-001"}, {"number": "CLM-A-002"}], "truncated": True}
    assert server.mike.call("three_at_most")["structuredContent"]["truncated"] is False
    assert server.emma.call("two_at_most")["structuredContent"]["truncated"] is False
    assert "the 2 that are shown" in str(server.described("two_at_most")["outputSchema"])


@pytest.mark.parametrize("kind", RESULTS)
def test_each_type_of_result_is_shown_in_its_own_form_and_null_as_null(server, kind) -> None:
    tool = f"shows_{kind.replace('[]', 's')}"
    result = server.mike.call(tool)["structuredContent"]
    assert list(result["rows"][0].values()) == [*(shown for _, shown in RESULTS[kind]), None]
    jsonschema.Draft202012Validator(server.described(tool)["outputSchema"]).validate(result)
