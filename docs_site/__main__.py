"""`make docs` builds the documentation site in `.docs/site`. Broken links and pages in no menu are errors."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from pages import ROOT, mistakes, written

OUTPUT: Final = ROOT / ".docs"
CONFIGURATION: Final = Path(__file__).parent / "zensical.toml"


def listed(menu: list[dict[str, Any]]) -> list[str]:
    """Return the pages of a menu and its submenus; each entry maps one title to a page or a menu."""
    pages = [page for entry in menu for page in entry.values()]
    return [one for page in pages for one in ([page] if isinstance(page, str) else listed(page))]


def main() -> int:
    """Write the pages, compare them with the menu, and build; return the exit code."""
    pages = written(OUTPUT / "pages")
    menu = listed(tomllib.loads(CONFIGURATION.read_text())["project"]["nav"])
    problems = mistakes()
    problems += [f"{page} is in no menu of docs_site/zensical.toml" for page in sorted(pages - set(menu))]
    problems += [f"docs_site/zensical.toml names {page}, which does not exist" for page in sorted(set(menu) - pages)]
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return 1
    (OUTPUT / "zensical.toml").write_text(CONFIGURATION.read_text())
    return subprocess.run([*sys.argv[1:], "build", "--strict", "--clean"], cwd=OUTPUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
