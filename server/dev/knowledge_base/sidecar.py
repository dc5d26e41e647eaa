"""The sidecar of a development document; a broken one stops the start, with the file's name."""

from pathlib import Path

from server.documents.upload.sidecar import SUFFIX, Sidecar, parse_sidecar
from server.errors import StartupError


def read_sidecar(document: Path) -> Sidecar:
    """Read the sidecar of `document`; no attributes when there is none, StartupError when it is broken."""
    path = document.with_name(document.name + SUFFIX)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Sidecar()
    except OSError as error:
        raise StartupError(f"The sidecar {path} cannot be read ({error.strerror}); make it readable.") from error
    sidecar, errors = parse_sidecar(content)
    if errors:
        raise StartupError(
            f"The sidecar {path} is broken: {errors[0]}; "
            'write {"metadataAttributes": {"tier": "regular", "document_type": "guide"}} or remove the file.'
        ) from errors[0]
    return sidecar
