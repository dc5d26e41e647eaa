"""The filter grammar of Bedrock's Retrieve: what matches, and what is not a filter at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.dev.knowledge_base.retrieval_filter import OPERATORS, RetrievalFilterError, parse_filter

DOCUMENTS = {
    "new": {"tier": "regular", "year": 2024, "active": True, "topics": ["auto", "windshield"]},
    "old": {"tier": "platinum", "year": 2019.5, "active": False, "topics": ["home"]},
    "odd": {"tier": ["regular"], "year": "2024", "active": 1, "topics": "auto"},
    "bare": {},
}


def equals(key, value):
    return {"equals": {"key": key, "value": value}}


REGULAR = equals("tier", "regular")
PLATINUM = equals("tier", "platinum")

MATCHES = [
    (REGULAR, "new"),
    (equals("tier", "Regular"), ""),
    (equals("tier", "regul"), ""),
    (equals("year", 2024), "new"),
    (equals("year", 2024.0), "new"),
    (equals("year", "2024"), "odd"),
    (equals("active", value=True), "new"),
    (equals("active", 1), "odd"),
    (equals("active", value=False), "old"),
    (equals("missing", "x"), ""),
    ({"notEquals": {"key": "tier", "value": "regular"}}, "old odd bare"),
    ({"notEquals": {"key": "active", "value": True}}, "old odd bare"),
    ({"notEquals": {"key": "missing", "value": "x"}}, "new old odd bare"),
    ({"in": {"key": "tier", "value": ["regular", "gold"]}}, "new"),
    ({"in": {"key": "tier", "value": ["gold"]}}, ""),
    ({"in": {"key": "year", "value": ["2024"]}}, "odd"),
    ({"notIn": {"key": "tier", "value": ["regular", "gold"]}}, "old odd bare"),
    ({"greaterThan": {"key": "year", "value": 2019.5}}, "new"),
    ({"greaterThan": {"key": "active", "value": 0}}, "odd"),
    ({"greaterThanOrEquals": {"key": "year", "value": 2019.5}}, "new old"),
    ({"lessThan": {"key": "year", "value": 2024}}, "old"),
    ({"lessThanOrEquals": {"key": "year", "value": 2024}}, "new old"),
    ({"startsWith": {"key": "tier", "value": "plat"}}, "old"),
    ({"startsWith": {"key": "topics", "value": "aut"}}, "odd"),
    ({"listContains": {"key": "topics", "value": "auto"}}, "new"),
    ({"listContains": {"key": "topics", "value": "aut"}}, ""),
    ({"stringContains": {"key": "tier", "value": "gul"}}, "new odd"),
    ({"stringContains": {"key": "topics", "value": "shield"}}, "new"),
    ({"stringContains": {"key": "topics", "value": "aut"}}, "new odd"),
    ({"andAll": [REGULAR, equals("year", 2024)]}, "new"),
    ({"andAll": [REGULAR, PLATINUM]}, ""),
    ({"orAll": [REGULAR, PLATINUM]}, "new old"),
    ({"orAll": [REGULAR, PLATINUM, REGULAR, REGULAR, REGULAR]}, "new old"),
    ({"andAll": [{"orAll": [REGULAR, PLATINUM]}, equals("active", value=False)]}, "old"),
    ({"orAll": [{"andAll": [REGULAR, PLATINUM]}, {"andAll": [PLATINUM, PLATINUM]}]}, "old"),
]


@pytest.mark.parametrize(("retrieval_filter", "names"), MATCHES)
def test_a_filter_matches_exactly_these_documents(retrieval_filter, names):
    matches = parse_filter(retrieval_filter)
    assert [name for name, metadata in DOCUMENTS.items() if matches(metadata)] == names.split()


def test_the_table_covers_every_operator():
    seen = {next(iter(retrieval_filter)) for retrieval_filter, _ in MATCHES}
    assert seen == {*OPERATORS, "andAll", "orAll"}


NESTED_TWICE = {"andAll": [REGULAR, {"orAll": [REGULAR, {"andAll": [REGULAR, REGULAR]}]}]}

MALFORMED = [
    (None, "filter must be an object"),
    ([], "filter must be an object"),
    ("tier = regular", "filter must be an object"),
    ({}, "exactly one operator"),
    ({**REGULAR, "notEquals": {"key": "tier", "value": "x"}}, "exactly one operator"),
    ({"equal": {"key": "tier", "value": "regular"}}, "unknown operator"),
    ({"and_all": [REGULAR, REGULAR]}, "unknown operator"),
    ({"andAll": [REGULAR]}, "filter.andAll must be a list of 2 to 5"),
    ({"andAll": []}, "2 to 5"),
    ({"andAll": {"0": REGULAR, "1": REGULAR}}, "2 to 5"),
    ({"orAll": [REGULAR] * 6}, "filter.orAll must be a list of 2 to 5"),
    ({"orAll": [REGULAR, {}]}, r"filter.orAll\[1\] must be an object"),
    (NESTED_TWICE, r"filter.andAll\[1\].orAll\[1\].andAll is nested too deeply"),
    ({"equals": {"key": "tier"}}, "a key and a value"),
    ({"equals": {"value": "regular"}}, "a key and a value"),
    ({"equals": {"key": "tier", "value": "regular", "type": "STRING"}}, "and nothing else"),
    ({"equals": ["tier", "regular"]}, "a key and a value"),
    (equals("", "x"), "filter.equals.key must be a string of 1 to 100"),
    (equals("k" * 101, "x"), "1 to 100"),
    (equals(1, "x"), "1 to 100"),
    (equals("tier", None), "filter.equals.value must be a string, a number or a boolean"),
    (equals("tier", ["regular"]), "a string, a number or a boolean"),
    (equals("tier", {"in": ["regular"]}), "a string, a number or a boolean"),
    (equals("year", float("nan")), "a string, a number or a boolean"),
    ({"notEquals": {"key": "tier", "value": None}}, "a string, a number or a boolean"),
    ({"in": {"key": "tier", "value": "regular"}}, "a list of strings"),
    ({"in": {"key": "tier", "value": []}}, "a list of strings"),
    ({"in": {"key": "year", "value": [2024]}}, "a list of strings"),
    ({"notIn": {"key": "tier", "value": "regular"}}, "a list of strings"),
    ({"greaterThan": {"key": "year", "value": "2024"}}, "a number"),
    ({"greaterThanOrEquals": {"key": "year", "value": True}}, "a number"),
    ({"lessThan": {"key": "year", "value": [2024]}}, "a number"),
    ({"lessThanOrEquals": {"key": "year", "value": None}}, "a number"),
    ({"startsWith": {"key": "tier", "value": 1}}, "a string"),
    ({"listContains": {"key": "topics", "value": ["auto"]}}, "a string"),
    ({"stringContains": {"key": "topics", "value": True}}, "a string"),
]


@pytest.mark.parametrize(("retrieval_filter", "reason"), MALFORMED)
def test_a_malformed_filter_is_refused_naming_the_place(retrieval_filter, reason):
    with pytest.raises(RetrievalFilterError, match=reason):
        parse_filter(retrieval_filter)


def test_a_key_of_100_characters_is_allowed():
    assert parse_filter(equals("k" * 100, "x"))({"k" * 100: "x"})


def test_the_reason_does_not_repeat_the_value():
    with pytest.raises(RetrievalFilterError) as refusal:
        parse_filter({"in": {"key": "tier", "value": "a secret"}})
    assert "a secret" not in str(refusal.value)


SCALARS = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())


@given(attribute=SCALARS, value=SCALARS)
@settings(deadline=None)
def test_equals_and_not_equals_are_opposites(attribute, value):
    positive = parse_filter(equals("key", value))
    negative = parse_filter({"notEquals": {"key": "key", "value": value}})
    assert positive({"key": attribute}) is not negative({"key": attribute})
    assert not positive({})
    assert negative({})


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*OPERATORS, "andAll", "orAll", "key"]), inner),
)


@given(document=JSON)
@settings(deadline=None)
def test_any_json_is_either_a_filter_or_refused(document):
    try:
        matches = parse_filter(document)
    except RetrievalFilterError:
        return
    for metadata in DOCUMENTS.values():
        assert matches(metadata) in (True, False)
