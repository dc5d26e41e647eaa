"""One version of the project under measurement: its databases and settings, prepared by its own code.

`python checkout.py ROOT FOLDER ISSUER RESOURCE`; the first line on standard input is answered with the settings file of
each database, as JSON, and the database runs until standard input ends. Of the version at ROOT, this needs `prepare`
in tests/bench/dataset.py and `settings_file` in tests/bench/run.py.
"""

import json
import sys
from pathlib import Path


def main(root: str, folder: str, issuer: str, resource: str) -> None:
    """Prepare, answer, and wait for the end of standard input."""
    # That version's modules, not those beside this file.
    sys.path[:0] = [root, str(Path(root) / "tests" / "bench")]
    from dataset import prepare
    from run import settings_file

    from server.dev.folder import folder_lock
    from server.dev.postgres.launcher import EmbeddedPostgres
    from server.dev.preparation import development_key

    place = Path(folder)
    sys.stdin.readline()
    with folder_lock(place), EmbeddedPostgres(place / "postgres") as postgres:
        key = development_key(place / "context.key")
        urls = prepare(postgres, key)
        files = {name: str(settings_file(place, name, issuer, resource, url, key)) for name, url in urls.items()}
        print(json.dumps(files), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
