"""One version of the project under measurement: its databases and settings, prepared by its own code.

`python checkout.py ROOT FOLDER ISSUER RESOURCE`; the first line on standard input is answered with the settings file of
each database, as JSON, and the database runs until standard input ends. Of the version at ROOT, this needs `prepare`
in tests/bench/dataset.py and `settings_file` in tests/bench/run.py.
"""

import json
import sys
from pathlib import Path

ROOT, FOLDER, ISSUER, RESOURCE = sys.argv[1:]
# That version's modules, not those beside this file.
sys.path[:0] = [ROOT, str(Path(ROOT) / "tests" / "bench")]

from dataset import prepare
from run import settings_file

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key


def main() -> None:
    """Prepare, answer, and wait for the end of standard input."""
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    sys.stdin.readline()
    with folder_lock(folder), EmbeddedPostgres(folder / "postgres") as postgres:
        key = development_key(folder / "context.key")
        urls = prepare(postgres, key)
        files = {name: str(settings_file(folder, name, ISSUER, RESOURCE, url, key)) for name, url in urls.items()}
        print(json.dumps(files), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
