"""Verify a trail: every file of every worker, moved files included; report the first break of each chain."""

from collections.abc import Iterator
from pathlib import Path

from server.audit.chain import lines, opened
from server.audit.files import live_name, size_of, trail_files, worker_paths
from server.audit.head import HeadLine, read_head
from server.audit.keys import PublicKeys
from server.audit.walk import Break, Walk, Walked
from server.errors import StartupError
from server.progress import SILENT, Progress

_TRIES = 3


def verify(
    path: Path, keys: PublicKeys | None = None, *, archived: bool = False, shown: Progress = SILENT
) -> list[Walked]:
    """Return the result for each chain at `path`; raise StartupError when there is none or it cannot be read.

    With `keys`, a chain must be signed. `archived` accepts a part that was moved elsewhere: without its predecessors
    and without FILE.head. `shown` is the progress.
    """
    tries = 0
    while True:
        shown.step(f"verifying the audit trail: {path.name}", size_of(path))
        heads = _heads(path)
        found = _verified(path, heads, keys, shown, archived=archived)
        tries += 1
        # An apparent break may come from a running server that wrote or rotated meanwhile.
        if tries == _TRIES or all(one.broken is None for one in found) or heads == _heads(path):
            return found


def _verified(
    path: Path, heads: dict[str, HeadLine], keys: PublicKeys | None, shown: Progress, *, archived: bool
) -> list[Walked]:
    """Return the results; `heads` were read before the files."""
    try:
        found: list[Walked] = []
        for name, chain, files in chains(path):
            head = heads.get(name)
            mine = head if head is not None and head.chain == chain else None
            found.append(Walk(name, files, keys, None if archived else mine).run(archived=archived, shown=shown))
            if not archived:
                _look_beyond_the_head(path, found[-1])
    except OSError as error:
        raise StartupError(
            f"the audit trail {path} cannot be read: {error.strerror}; correct its path or its rights"
        ) from error
    if not archived:
        found += _lost(path, found, heads)
        _ask_the_others(path, found)
    if not found:
        raise StartupError(f"no audit trail exists at {path}; pass the file that audit.path names")
    return found


def chains(path: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """Yield each chain's live name, its id and its files, ordered by their records; raises OSError.

    A file with an invalid beginning is a chain by itself.
    """
    groups: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    known = {live.name for live in worker_paths(path)}
    for file in trail_files(path):
        line = next(lines(file), b"")
        if line:
            begin = opened(line) or {}
            said = begin.get("name")
            name = said if said in known else live_name(path, file) or file.name
            chain = str(begin.get("chain", f"none in {file.name}"))
            groups.setdefault((name, chain), []).append((begin.get("number", 0), file))
    for (name, chain), group in groups.items():
        yield name, chain, [file for _, file in sorted(group)]


def _heads(path: Path) -> dict[str, HeadLine]:
    found = ((live.name, read_head(live)) for live in worker_paths(path))
    return {name: head for name, head in found if head is not None and head.chain}


def _look_beyond_the_head(path: Path, one: Walked) -> None:
    """Find records that were added after the server's last one."""
    live = path.with_name(one.name)
    head = read_head(live)
    if one.broken is None and head is not None and one.last > head.number + 1:
        one.broken = Break(live, one.records, "added", "records were added after the last that FILE.head names")


def _lost(path: Path, found: list[Walked], heads: dict[str, HeadLine]) -> Iterator[Walked]:
    """Yield the chains that have a head but no file."""
    known = {(one.name, one.chain) for one in found}
    for name, head in heads.items():
        if (name, head.chain) not in known:
            problem = f"records 1 to {head.number} are missing: every file of this chain was deleted or moved elsewhere"
            yield Walked(name, head.chain, broken=Break(path.with_name(name), 1, "missing", problem))


def _ask_the_others(path: Path, found: list[Walked]) -> None:
    """Find chains that end before the number that checkpoints of other workers name."""
    reached = {one.name: max(other.last for other in found if other.name == one.name) for one in found}
    broken = {one.name for one in found if one.broken}
    for name, number in {name: number for one in found for name, number in one.others.items()}.items():
        if reached.get(name, 0) < number and name not in broken:
            problem = f"records up to {number} are missing: a checkpoint of another worker names them"
            lost = Break(path.with_name(name), 1, "missing", problem)
            found.append(Walked(name, "", broken=lost))
