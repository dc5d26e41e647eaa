"""The lines about a verified chain and a verified extract, for a person."""

from datetime import UTC, datetime

from server.audit.extract_check import CheckedExtract
from server.audit.walk import Walked


def sentence(one: Walked, *, signed: bool) -> str:
    """Return one line: how much of the chain verifies, and what is wrong."""
    records = f"{one.records} record" + ("" if one.records == 1 else "s")
    files = "1 file" if one.files == 1 else f"{one.files} files"
    found = [f"{one.name}: {records} in {files} {'holds' if one.records == 1 else 'hold'}"]
    if one.broken is not None:
        found.append(f"then {one.broken.file.name} breaks at line {one.broken.line}: {one.broken.problem}")
    elif not signed:
        found.append("nothing is signed")
    else:
        found.append(f"{one.checkpoints} checkpoints; {one.unsigned or 'no'} records after the last")
    return "; ".join(found)


def checked_sentence(checked: CheckedExtract) -> str:
    """Return one line: whose records, how many, and the part of the trail in which these are all."""
    until = datetime.fromtimestamp(checked.until, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    parts = [f"{name} from record {first} to {last}" for name, (first, last) in sorted(checked.reached.items())]
    whole = ", ".join(parts)
    return f"{checked.tenant}: {checked.records} records, and none is missing until {until} ({whole})"
