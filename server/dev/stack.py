"""`tenantgate dev`: embedded database, identity provider and knowledge base around the real server, in one process."""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from server.app import create_app
from server.catalog.loading import load_catalog
from server.dev.calls.configured import own_calls
from server.dev.folder import folder_lock
from server.dev.issuer.application import DevelopmentIssuer
from server.dev.knowledge_base.corpus import Corpus
from server.dev.knowledge_base.service import create_knowledge_base
from server.dev.own_database import OwnDatabase
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import (
    development_key,
    development_settings,
    development_signing_key,
    point_aws_at,
    prepare_database,
    sample_settings,
)
from server.dev.requests import ShowingRecorder, Shown
from server.dev.running import Addresses, published
from server.dev.sample import PEOPLE, SAMPLE_DOCUMENTS
from server.doctor.proof import require_isolation
from server.errors import StartupError
from server.http.serving import Server, listen, server_config
from server.settings import Settings

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Stack:
    """Everything prepared: sockets bound, database migrated and filled, applications made."""

    addresses: Addresses
    issuer: DevelopmentIssuer
    admin_url: str
    settings: Settings
    servers: tuple[tuple[Server, socket.socket], ...]

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; call `ready` once every server answers, or raise StartupError when one cannot."""
        async with asyncio.TaskGroup() as tasks:
            for server, listener in self.servers:
                tasks.create_task(server.serve(sockets=[listener]))
            # uvicorn reports its start only through an attribute.
            while not all(server.started or server.should_exit for server, _ in self.servers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if all(server.started for server, _ in self.servers):
                ready()
            else:
                self.stop()
        if not all(server.started for server, _ in self.servers):
            raise StartupError("the server did not start; read the last lines of server.log in its folder")

    @property
    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The event loop that the server also uses in production."""
        return self.servers[0][0].config.get_loop_factory()

    def stop(self) -> None:
        """Let every server finish its running requests, then end."""
        for server, _ in self.servers:
            server.should_exit = True


@contextmanager
def development_stack(  # noqa: PLR0913, PLR0917  # the options of the verb, and its two ways to show something
    folder: Path,
    port: int,
    documents: Path | None = None,
    report: Callable[[str], None] = lambda _step: None,
    own: OwnDatabase | None = None,
    show: Callable[[Shown], None] = lambda _request: None,
) -> Generator[Stack]:
    """Prepare a stack in `folder`; the server listens on `port`, the stand-ins on the next two ports.

    Port 0 takes any three free ports. `documents` replaces the sample's documents; `own` replaces the embedded database
    with an existing one and its own catalog, without documents. `report` gets each step of the preparation, and `show`
    each request while the stack serves. Raises StartupError; everything that was started is stopped at the end.
    """
    with folder_lock(folder), ExitStack() as started:
        listeners = [started.enter_context(listen(HOST, port + place if port else 0)) for place in range(3)]
        server_url, issuer_url, knowledge_base_url = (f"http://{HOST}:{one.getsockname()[1]}" for one in listeners)
        mcp_url = f"{server_url}/mcp"
        key = development_key(folder / "context.key")
        if own is None:
            report("starting PostgreSQL")
            postgres = started.enter_context(EmbeddedPostgres(folder / "postgres"))
            report("preparing the database")
            admin_url = postgres.admin_url
            try:
                database_url = prepare_database(postgres, key, issuer_url)
            except StartupError as error:
                # Made by another version. Nothing is lost: the database holds the sample's rows alone.
                raise StartupError(f"{error}; or remove {folder}, which has only sample data, to begin anew") from None
            others, people = sample_settings(), PEOPLE
        else:
            report("preparing the database")
            database_url, admin_url = own.prepare(key), own.admin_url
            others, people = own.settings(), own.people()
        signing_key = development_signing_key(folder / "audit.key")
        trail = folder / "audit.jsonl"
        others["audit"] = {"path": trail, "signing_key": signing_key}
        settings = development_settings(mcp_url, issuer_url, database_url, key, **others)
        catalog = load_catalog(settings.catalog)
        report("reading the documents")
        corpus = Corpus.load(documents or SAMPLE_DOCUMENTS, folder / "vectors") if settings.documents else None
        issuer = DevelopmentIssuer(
            issuer_url, folder / "issuer", [mcp_url], people, catalog.scopes, without_a_page=own is None
        )
        report("proving isolation")
        proof = require_isolation(settings, catalog)
        own_calls(settings, catalog, proof, trail, documents or SAMPLE_DOCUMENTS).serve_at(issuer)
        point_aws_at(knowledge_base_url)
        apps = [
            create_app(
                settings,
                catalog=catalog,
                first_proof=lambda: proof,
                new_recorder=partial(ShowingRecorder, show=show),
            ),
            issuer.app,
            *([create_knowledge_base(corpus)] if corpus else []),
        ]
        servers = tuple((Server(server_config(app)), one) for app, one in zip(apps, listeners, strict=False))
        for unused in listeners[len(apps) :]:
            unused.close()
        shown = [
            {"name": one.name, "tenant": one.tenant, "groups": list(one.groups), "sub": one.subject} for one in people
        ]
        addresses = Addresses(mcp_url, issuer_url, shown, database_url, knowledge_base_url if corpus else None)
        started.enter_context(published(folder, addresses, catalog.scopes))
        yield Stack(addresses, issuer, admin_url, settings, servers)
