"""docs/clients.md: every recipe is whole and names one address; `make clients` runs those that need no sign-in."""

import ast
import json
import re
import shlex

import pytest
from clients.recipes import ADDRESS, DOCUMENT, RECIPES, blocks

TEXT = DOCUMENT.read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_each_recipe_that_can_run_is_run() -> None:
    assert set(blocks()) == {recipe.client for recipe in RECIPES}


@pytest.mark.parametrize("address", sorted(set(re.findall(r"https?://[^\s\"'`)]+", TEXT))))
def test_the_document_names_the_development_servers_address_alone(address) -> None:
    assert address == ADDRESS


@pytest.mark.parametrize(("language", "text"), FENCED)
def test_every_block_is_well_formed(language, text) -> None:
    match language:
        case "json":
            json.loads(text)
        case "python":
            ast.parse(text)
        case "sh":
            shlex.split(text, comments=True)
        case _:
            assert language == "js"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.client)
def test_the_document_shows_which_version_a_client_speaks(recipe) -> None:
    table = TEXT.partition("| client |")[2].partition("\n\n")[0]
    assert recipe.speaks in table
    assert ADDRESS in blocks()[recipe.client][1]
