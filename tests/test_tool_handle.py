"""R125: from what a tool is handed, no pool, key, setting or other tenant's handle can be reached."""

from support.server_of_its_own import one_more_tool, server_of_its_own

# Runs inside the server, as a tool of an integrator would, and walks every attribute from its own two arguments.
WALK = """
from server.catalog.tool import Arguments, CodeTool, Result
import importlib
import types
from collections import deque

PARTS = [
    ("server.database.context_keys", "ContextKey"),
    ("server.database.cursors", "Cursors"),
    ("server.database.database", "Database"),
    ("server.database.pool", "Pool"),
    ("server.database.links", "Links"),
    ("server.database.link", "Link"),
    ("psycopg", "AsyncConnection"),
    ("psycopg.pq", "PGconn"),
    ("server.fair_queue", "FairQueue"),
    ("cryptography.hazmat.primitives.ciphers.aead", "AESSIV"),
    ("server.settings", "Settings"),
    ("server.settings", "DatabaseSettings"),
]
FORBIDDEN = (*(getattr(importlib.import_module(module), name) for module, name in PARTS), bytes)
# What every object has and that leads to the whole program: its class, and the modules of its functions.
PASSED_OVER = {"__class__", "__globals__", "__code__", "__builtins__", "__module__", "__subclasshook__", "__doc__"}
# A bound method is made anew each time that it is asked for; what it leads to is not.
OF_METHODS = ("__self__", "__func__")


class Walk(Arguments):
    pass


class Walked(Result):
    seen: int
    found: list[str]


def neighbours(thing):
    if isinstance(thing, dict):
        yield from (("[]", value) for pair in thing.items() for value in pair)
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from (("[]", value) for value in thing)
    bound = isinstance(thing, (types.MethodType, types.BuiltinMethodType))
    for name in OF_METHODS if bound else dir(thing):
        if name not in PASSED_OVER:
            try:
                yield name, getattr(thing, name)
            except Exception:
                continue


async def walk(arguments, access):
    seen, found, todo = {}, [], deque([("arguments", arguments), ("access", access)])
    while todo:
        path, thing = todo.popleft()  # the nearest first: what is met far away is not followed further
        if id(thing) in seen or isinstance(thing, (str, int, float, type(None), type, type(walk.__call__))):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FORBIDDEN):
            found.append(f"{path}: {type(thing).__name__}")
            continue
        if path.count(".") < 6 and len(seen) < 20000:
            todo += [(f"{path}.{name}", value) for name, value in neighbours(thing)]
    return Walked(seen=len(seen), found=sorted(found))


TOOL = CodeTool(
    name="walk", title="Walk", description="Walks.", arguments=Walk, result=Walked, scope=None, call=walk
)
"""


def test_nothing_unscoped_can_be_reached_from_a_tools_arguments(stack, tmp_path) -> None:
    with one_more_tool(tmp_path / "tools", "walk", WALK), server_of_its_own(stack) as server:
        walked = server.call("walk", timeout=180)["structuredContent"]
    assert walked["found"] == []
    assert walked["seen"] > 20


def test_the_walk_finds_a_key_that_lies_deep(stack, tmp_path) -> None:
    """The control: in a private attribute, a list in a dictionary, a closure."""
    leak = """
def leaking(access):
    key = PARTS_LOADED.parse_context_key("dev:" + "A" * 43 + "=")

    def sign():
        return key

    class Handle:
        pass

    handle = Handle()
    handle.context, handle._parts = access.context, {"signers": [sign]}
    return handle


PARTS_LOADED = importlib.import_module("server.database.context_keys")
"""
    leaky = WALK.replace('("access", access)', '("access", leaking(access))').replace("\n\nTOOL =", leak + "\n\nTOOL =")
    with one_more_tool(tmp_path / "tools", "walk", leaky), server_of_its_own(stack) as server:
        found = server.call("walk")["structuredContent"]["found"]
    assert found == ["access._parts.[].[].__closure__.[].cell_contents: ContextKey"]


def test_a_handle_is_of_no_use_to_a_call_that_was_not_given_it(stack, tmp_path) -> None:
    """What a tool keeps of an earlier call still reads that caller's tenant alone, and a copy of it reads nothing."""
    keeps = WALK.replace(
        "async def walk(arguments, access):\n",
        "KEPT = []\n\n\nasync def walk(arguments, access):\n    import copy\n    KEPT.append(access)\n"
        "    try:\n        await copy.copy(access).search('x', 1)\n    except KeyError:\n"
        "        return Walked(seen=len(KEPT), found=[KEPT[0].context.tenant])\n",
    )
    with one_more_tool(tmp_path / "tools", "walk", keeps), server_of_its_own(stack) as server:
        assert server.call("walk")["structuredContent"] == {"seen": 1, "found": ["broker-a"]}
        other = type(server)(server.url, stack.issuer.mint("emma-broker-b"))
        assert other.call("walk")["structuredContent"] == {"seen": 2, "found": ["broker-a"]}
