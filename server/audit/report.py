"""What a person reads of a verified chain."""

from server.audit.walk import Walked


def sentence(one: Walked, *, signed: bool) -> str:
    """Return one line: how much holds, and what is wrong where something is."""
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
