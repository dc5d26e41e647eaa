"""Every fixture says what it takes and what it gives."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def untyped(text: str) -> list[str]:
    """Return the fixtures of a file that have a parameter or a result without a type."""
    found: list[str] = []
    for one in ast.walk(ast.parse(text)):
        if isinstance(one, ast.FunctionDef) and any("pytest.fixture" in ast.unparse(by) for by in one.decorator_list):
            parameters = [*one.args.args, *one.args.kwonlyargs]
            if one.returns is None or any(parameter.annotation is None for parameter in parameters):
                found.append(one.name)
    return found


def test_every_fixture_is_typed() -> None:
    files = {str(path.relative_to(TESTS)): untyped(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")}
    assert {name: fixtures for name, fixtures in files.items() if fixtures} == {}


def test_a_fixture_without_types_is_found() -> None:
    text = "@pytest.fixture\ndef one(stack) -> int: ...\n@pytest.fixture()\ndef two(): ...\ndef three(): ..."
    assert untyped(text) == ["one", "two"]
