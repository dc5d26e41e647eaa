"""Columns that look like secrets are left out; the others are declared with what the database says of them."""

import tomllib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.adoption.allowed_values import allowed_values
from server.adoption.columns import choose_columns
from server.adoption.declaring import Declaring, Refused
from server.adoption.naming import file_name, plain_name
from server.adoption.relations import DatabaseRelations, FoundRelation
from server.adoption.sensitive import why_sensitive
from server.adoption.shape import shown_names
from server.adoption.toml_text import inline, toml_of
from server.adoption.ways import Own
from server.catalog.checks import problems_of
from server.catalog.comparison import differences
from server.catalog.declarations import CatalogFile
from server.catalog.facts import ColumnFacts, RelationFacts


def column(name: str, base: str = "text", *, not_null: bool = False) -> ColumnFacts:
    return ColumnFacts(
        name, base, base, "b", scale=None, is_domain=False, not_null=not_null, deterministic=True, generated=""
    )


def found(*columns: ColumnFacts, key: tuple[str, ...] = ("id",), **more) -> FoundRelation:
    named = {one.name: one for one in columns}
    facts = RelationFacts("shop", "orders", "r", "owner", named, key, (key,) if key else (), ())
    return FoundRelation(1, facts, **more)


def declared(one: FoundRelation, tenant: str = "account_id"):
    return Declaring(DatabaseRelations({one.name: one}, ()), [one.name]).declare(one.name, Own(tenant, "x"))


@pytest.mark.parametrize(
    ("name", "base", "left_out"),
    [
        ("password", "text", True),
        ("passwordHash", "character varying", True),
        ("apiKey", "text", True),
        ("accesstoken", "text", True),
        ("reset_token", "uuid", True),
        ("token", "bytea", True),
        ("session", "jsonb", True),
        ("ssn", "integer", True),
        ("pin", "smallint", True),
        ("iban", "text", True),
        ("credit_card_number", "text", True),
        ("card", "text", True),
        ("tax_id", "bigint", True),
        ("email", "text", True),
        ("birth_date", "date", True),
        ("phone", "text", True),
        ("ip_address", "inet", True),
        ("user_agent", "text", True),
        ("session_id", "text", True),
        ("session_id", "uuid", False),
        ("gift_card_id", "bigint", False),
        ("token_count", "integer", False),
        ("password_changed_at", "timestamp with time zone", False),
        ("has_password", "boolean", False),
        ("customer_name", "text", False),
        ("discard_reason", "text", False),
        ("secretary", "text", False),
        ("monkey", "text", False),
        ("keyboard", "text", False),
        ("insurance_type", "text", False),
        ("amount", "numeric", False),
    ],
)
def test_secrets_and_personal_data_are_recognized_by_name_and_type(name, base, left_out) -> None:
    assert (why_sensitive(column(name, base)) is not None) is left_out


def test_a_column_of_few_values_or_of_a_foreign_key_is_not_a_secret() -> None:
    assert why_sensitive(column("token_type"), ["bearer", "mac"]) is None
    assert why_sensitive(column("token_id"), refers=True) is None


def test_json_and_what_cannot_be_read_is_left_out() -> None:
    choice = choose_columns(found(column("a", "jsonb"), column("b", "tsvector"), column("c", "json[]")), None, ())
    assert {one.column: (one.reason, one.type) for one in choice.left_out} == {
        "a": ("is JSON, which can hold anything", "json"),
        "b": ("its type tsvector cannot be read by a tool", None),
        "c": ("is JSON, which can hold anything", "json[]"),
    }


def test_a_column_that_is_computed_from_a_secret_is_left_out_too() -> None:
    one = found(
        column("token"), column("length", "integer"), column("b", "integer"), sources={"length": frozenset({"token"})}
    )
    choice = choose_columns(one, None, ())
    assert set(choice.declared) == {"b"}
    assert choice.left_out[1].reason == "is computed from token, which is left out"


def test_a_key_that_is_a_secret_gives_way_to_another_key() -> None:
    one = found(
        column("token", not_null=True), column("id", "integer", not_null=True), column("account_id"), key=("token",)
    )
    with pytest.raises(Refused, match=r"its key token looks like a secret \(token\), and it has no other key"):
        declared(one)
    facts = RelationFacts("shop", "orders", "r", "o", one.facts.columns, ("token",), (("token",), ("id",)), ())
    assert declared(FoundRelation(1, facts)).table.key == ("id",)


def test_a_table_without_a_key_has_no_listing() -> None:
    table = declared(found(column("account_id"), column("pages", "integer"), key=())).table
    assert table.list is None
    assert table.summary is not None


def test_comments_values_and_figures_reach_the_declaration() -> None:
    one = found(
        column("id", "bigint", not_null=True),
        column("account_id"),
        column("status"),
        column("placed_at", "timestamp with time zone"),
        column("total", "numeric"),
        column("line", "integer"),
        comment="What was ordered.",
        comments={"status": "How far it is."},
        values={"status": ("open", "paid")},
    )
    table = declared(one).table
    said = {name: one.model_dump(exclude_defaults=True) for name, one in table.columns.items()}
    assert table.description == "What was ordered."
    assert said["status"] == {
        "type": "text",
        "description": "How far it is.",
        "filter": True,
        "group": True,
        "values": ("open", "paid"),
    }
    assert said["placed_at"]["filter"] == "range"
    assert said["placed_at"]["period"]
    assert said["total"]["measures"] == ("total", "average", "largest")
    assert "measures" not in said["line"]
    assert table.list is not None
    assert table.list.sort == "-placed_at"
    assert "account_id" not in table.columns


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b c'::character varying])::text[])))", ("a", "b c")),
        ("CHECK ((s = ANY (ARRAY['a'::text, 'it''s'::text])))", ("a", "it's")),
        ("CHECK (((s = 'a'::text) OR (s = 'b'::text)))", ("a", "b")),
        ("CHECK (((s IS NULL) OR (s = 'a'::text)))", ("a",)),
        ("CHECK ((lower(s) = 'a'::text))", None),
        ("CHECK (((s)::character varying(1) = 'a'::text))", None),
        ("CHECK ((s <> 'a'::text))", None),
        ("CHECK (((s = 'a'::text) AND (t = 'b'::text)))", None),
        ("CHECK (((s = 'a'::text) OR (t = 'b'::text)))", None),
        ("CHECK ((s = ANY (ARRAY['a'::text, other])))", None),
        ("CHECK ((s = E'a\\\\b'::text))", None),
        ("CHECK ((length(s) > 3))", None),
    ],
)
def test_a_check_constraint_gives_values_only_when_it_is_a_list_of_them(constraint, values) -> None:
    assert allowed_values(constraint, "s") == values


def test_a_domain_and_a_quoted_column_are_read_too() -> None:
    assert allowed_values("CHECK ((VALUE = ANY (ARRAY['a'::text])))", "value") == ("a",)
    assert allowed_values("CHECK ((\"S x\" = 'a'::text))", "S x") == ("a",)


NAMES = st.text(st.characters(exclude_characters="\0.", exclude_categories=["Cs"]), min_size=1, max_size=20)
BASES = st.sampled_from(["text", "integer", "numeric", "boolean", "date", "timestamp with time zone", "uuid", "jsonb"])
AWKWARD = st.sampled_from(
    ["limit", "sort", "cursor", "period", "tenant_id", "tenant", "created_at", "created_on", "created_from", "created",
     "min_total", "total", "max_total", "week", "month", "group_by", "as_of", "next_cursor", "Größe", "a b", "a-b"]
)  # fmt: skip


@given(st.dictionaries(NAMES | AWKWARD, BASES, min_size=1, max_size=12), st.text(max_size=60))
def test_columns_of_any_name_give_a_valid_file_that_says_the_same(columns, comment) -> None:
    one = found(
        column("id", "integer", not_null=True),
        column("account_id"),
        *(column(name, base) for name, base in columns.items() if name not in {"id", "account_id"}),
        comment=" ".join(comment.split()) or None,
        comments=dict.fromkeys(columns, " ".join(comment.split()) or "x"),
    )
    outcome = declared(one)
    text = toml_of(outcome, f"remark {comment}")
    (table,) = CatalogFile.model_validate(tomllib.loads(text)).table
    assert table == outcome.table
    assert list(problems_of([("file", CatalogFile(table=(table,)))], {}, complete=True)) == []
    assert list(differences(table, one.facts)) == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_toml(text) -> None:
    assert tomllib.loads(f"x = {inline(text)}") == {"x": text}


@given(st.lists(NAMES | AWKWARD, max_size=30, unique=True))
def test_shown_names_differ(names) -> None:
    shown = shown_names(names)
    assert set(Counter(shown.values()).values()) <= {1}
    assert all(plain_name(name) == name for name in shown.values())


@given(st.lists(NAMES, max_size=20, unique=True))
def test_file_names_differ_on_every_file_system(names) -> None:
    taken: set[str] = set()
    for name in names:
        file = file_name(name, taken)
        assert file.casefold() not in taken
        assert file[0] not in "._"
        assert "/" not in file
        taken.add(file.casefold())
