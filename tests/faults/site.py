"""Everything that a run needs: databases, key set, knowledge base, counts, and a real server of two workers on them."""

import asyncio
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.canaries import Canaries
from faults.counts import Counts, program
from faults.postgres import Databases, databases
from faults.store import TIERS, Store
from faults.telemetry import Telemetry
from support.callers import Answer, Call, opened, until
from support.real_server import RealServer, real_server

from server.database.context_keys import new_context_key
from server.settings import LimitsSettings, Settings

WORKERS = 2
POOL_SIZE = 8
# Counts what runs on the event loop that answers.
TASKS = '''
"""tasks: how many tasks the event loop of this worker has."""

import asyncio
import os

from server.catalog.tool import Arguments, CodeTool, Result


class Nothing(Arguments):
    pass


class Tasks(Result):
    process: int
    tasks: int


async def tasks(arguments, access):
    return Tasks(process=os.getpid(), tasks=len(asyncio.all_tasks()))


TOOL = CodeTool(
    name="tasks", title="Tasks", description="Counts.", arguments=Nothing, result=Tasks, scope=None, call=tasks
)
'''


@dataclass
class Site:
    """The parts of a run that faults are done to."""

    folder: Path
    databases: Databases
    store: Store
    server: RealServer
    canaries: Canaries
    telemetry: Telemetry | None
    counts: Counts | None
    calls: list[Call] = field(default_factory=list)
    searches: list[Call] = field(default_factory=list)
    # All that was answered so far.
    answers: list[Answer] = field(default_factory=list)
    # The issuer's newest key, and calls with it after that has changed.
    key_id: str = "first"
    rotated: list[Call] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the calls of everybody: claims of two tenants, by their note too, and documents of two tiers."""
        self.calls = [self._call("query_claims", tenant) for tenant in ("broker-a", "broker-b")]
        self.calls += [
            self._call("query_claims", tenant, customer_name=self.canaries.note) for tenant in ("broker-a", "broker-b")
        ]
        self.searches = [
            self._call("search_policies", "broker-a", tier, query=self.canaries.question) for tier in TIERS
        ]

    def prepare_rotated(self) -> None:
        """Make calls whose tokens have the issuer's newest key."""
        self.key_id = "second"
        self.rotated = [self._call("query_claims", "broker-b")]

    def _call(self, tool: str, tenant: str, tier: str = "", **arguments: object) -> Call:
        token = self.server.issuer.token(
            header={"kid": self.key_id},
            exp=int(time.time()) + 3_600,
            tenant_id=tenant,
            scope="claims:read policies:read",
            **{"cognito:groups": [tier or TIERS[0]]},
        )
        self.canaries.tokens.append(token)
        return Call(tool, arguments, token, f"{tenant}/{tier}" if tier else tenant)

    async def tasks(self) -> dict[int, int]:
        """Return the number of tasks of each worker, by its process."""
        found = dict[int, int]()
        call = self._call("tasks", "broker-a")
        for _ in range(50):
            with opened(self.server.port) as (line,):
                answer = await line.send(call)
            told = answer.result["structuredContent"]
            found[told["process"]] = told["tasks"]
            if len(found) == WORKERS:
                break
        return found


@contextmanager
def site() -> Generator[Site]:
    """Start everything and wait until it serves."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        folder.chmod(0o711)
        canaries, key = Canaries(), new_context_key("faults")
        found = running.enter_context(databases(folder, key, canaries.password, canaries.note, "http://127.0.0.1:1"))
        store = running.enter_context(Store().running())
        telemetry = counts = None
        settings, variables = dict[str, Any](), dict[str, str]()
        if "telemetry" in Settings.model_fields:
            telemetry = running.enter_context(Telemetry().running())
            settings |= telemetry.settings
            variables |= telemetry.variables
        limits: dict[str, Any] = {"calls_per_minute_per_tenant": 0, "calls_per_minute_per_person": 1_000_000}
        if "store" in LimitsSettings.model_fields and program():
            counts = running.enter_context(Counts(folder).running())
            limits["store"] = counts.url
        (folder / "server" / "more").mkdir(parents=True)
        (folder / "server" / "more" / "tasks.py").write_text(TASKS)
        server = running.enter_context(
            real_server(
                folder / "server",
                found.url,
                key.text(),
                workers=WORKERS,
                catalog=["sample", "more"],
                limits=limits,
                tenancy={"tiers": list(TIERS), "tenant_lookup": False},
                documents={
                    "knowledge_base_id": "ABCDEFGHIJ",
                    "region": "eu-west-1",
                    "timeout_ms": 3_000,
                    "max_attempts": 1,
                },
                **settings,
            )
        )
        server.settings["database"]["pool_size"] = POOL_SIZE
        server.variables = variables | {
            "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME": store.url,
            "AWS_ACCESS_KEY_ID": "worthless",
            "AWS_SECRET_ACCESS_KEY": "worthless",
        }
        server.start()
        made = Site(folder, found, store, server, canaries, telemetry, counts)
        made.prepare()
        asyncio.run(until(lambda: len(server.workers()) == WORKERS, 120))
        asyncio.run(_until_all_is_answered(made))
        yield made


async def _until_all_is_answered(made: Site) -> None:
    with opened(made.server.port) as (line,):
        for call in (*made.calls, *made.searches):
            deadline = time.monotonic() + 30
            while not (answer := await line.send(call)).is_good:
                assert time.monotonic() < deadline, answer.body[:300]
                await asyncio.sleep(0.1)
