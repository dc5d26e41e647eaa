"""Prompts: what a person can pick in a client, the same for everyone, in both protocol eras."""

import re

import pytest
from conftest import MODERN
from support.sample_pack import sample_offer

ERAS = ["2024-11-05", "2025-11-25", MODERN]


@pytest.mark.parametrize("era", ERAS)
def test_the_prompts_are_listed_with_their_arguments(caller, era) -> None:
    prompts = caller("mike-broker-a").post("prompts/list", era=era).json()["result"]["prompts"]
    assert {prompt["name"]: [(one["name"], one["required"]) for one in prompt["arguments"]] for prompt in prompts} == {
        "coverage_question": [("topic", True)],
        "weekly_claims_review": [],
    }
    assert all(prompt["title"] and prompt["description"] for prompt in prompts)


@pytest.mark.parametrize("era", ERAS)
def test_the_coverage_question_carries_its_topic_to_the_search(caller, era) -> None:
    asked = {"name": "coverage_question", "arguments": {"topic": "water damage"}}
    (message,) = caller("sarah-platinum").post("prompts/get", asked, era=era).json()["result"]["messages"]
    assert message["role"] == "user"
    assert "Topic: water damage\n" in message["content"]["text"]
    assert "search_policies" in message["content"]["text"]


@pytest.mark.parametrize("era", ERAS)
def test_the_weekly_review_leads_to_calls_that_the_server_answers(caller, era) -> None:
    """Each step that the text names is a call with valid arguments."""
    mike = caller("mike-broker-a")
    result = mike.post("prompts/get", {"name": "weekly_claims_review"}, era=era).json()["result"]
    steps = re.findall(
        r"^\d\. (\w+) with ([^.,]*(?:, [^.,]*=[^.,]*)*)", result["messages"][0]["content"]["text"], re.MULTILINE
    )
    assert [tool for tool, _ in steps] == ["summarize_claims", "summarize_claims", "summarize_claims", "query_claims"]
    for tool, given in steps:
        pairs = re.findall(r"(\w+)=(\w+)", given)
        assert len(pairs) >= 2
        mike.answer(tool, **{name: int(value) if value.isdigit() else value for name, value in pairs})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "drop_table"}, "Unknown prompt 'drop_table'. Use one of: coverage_question, weekly_claims_review."),
        ({"name": "coverage_question"}, "topic: Field required"),
        ({"name": "coverage_question", "arguments": {"topic": ""}}, "topic: "),
        (
            {"name": "coverage_question", "arguments": {"topic": "a\u202eb"}},
            "topic: must not contain control characters; remove them",
        ),
        ({"name": "coverage_question", "arguments": {"topic": "a" * 301}}, "topic: "),
        ({"name": "coverage_question", "arguments": {"topic": "a", "tenant": "b"}}, "unknown argument 'tenant'"),
        (
            {"name": "weekly_claims_review", "arguments": {"period": "today"}},
            "unknown argument 'period' (this takes no arguments).",
        ),
    ],
)
@pytest.mark.parametrize("era", ERAS)
def test_a_wrong_prompt_or_argument_is_refused_with_what_is_allowed(caller, era, asked, said) -> None:
    """R90, R91: unknown and malformed arguments are errors."""
    error = caller("mike-broker-a").post("prompts/get", asked, era=era).json()["error"]
    assert error["code"] == -32602
    assert said in error["message"]


@pytest.mark.parametrize("method", ["prompts/list", "resources/list"])
def test_what_is_the_same_for_everyone_needs_a_token_but_no_scope(caller, anonymous, method) -> None:
    """R1, R67: a valid token without any scope is enough, and no token is not."""
    assert anonymous.post(method).status_code == 401
    everyone = {caller(person).post(method).text for person in ("mike-broker-a", "emma-broker-b", "nora-no-tier")}
    assert everyone == {caller("mike-broker-a", scope="openid").post(method).text}


def test_a_prompt_is_offered_only_with_the_tools_that_it_leads_to() -> None:
    offer = sample_offer()
    tools = {tool.name: tool for tool in offer.tools}
    for prompt in offer.prompts:
        assert prompt.tools <= tools.keys()
        arguments = {one.name: "roof" for one in prompt.described.arguments or ()}
        text = prompt.rendered(arguments).model_dump_json()
        assert {name for name in tools if name in text} == prompt.tools
    assert [prompt.name for prompt in sample_offer(documents=False).prompts] == ["weekly_claims_review"]


def test_the_modern_lists_may_be_kept_by_their_caller_alone(caller) -> None:
    """R77."""
    for method in ("prompts/list", "resources/list", "resources/templates/list"):
        result = caller("mike-broker-a").post(method, era=MODERN).json()["result"]
        assert (result["cacheScope"], result["ttlMs"] > 0) == ("private", True)
