"""The pages of the site: those of `docs/`, those at the root of the repository, and the command line reference."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# Pages of the root, and their names on the site.
_OF_THE_ROOT: Final = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
}
# The page that is generated from the code.
_COMMAND_LINE: Final = "command-line.md"
_LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE: Final = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def written(folder: Path) -> set[str]:
    """Write every page into `folder` with its links rewritten for the site, and return the pages' names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = {name: (ROOT / file).read_text() for file, name in _OF_THE_ROOT.items()}
    texts |= {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    texts[_COMMAND_LINE] = _command_line()
    for name, text in texts.items():
        (folder / name).write_text(_LINK.sub(_for_the_site, text))
    for picture in (*(ROOT / "docs").glob("*.svg"), *(ROOT / "docs").glob("*.png")):
        shutil.copy(picture, folder)
    return set(texts)


def mistakes() -> list[str]:
    """Return a sentence for each relative link of a page whose target file does not exist."""
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / file for file in _OF_THE_ROOT), ROOT / "README.md"]
    return [
        f"{page.relative_to(ROOT)}: the link to {target} leads nowhere"
        for page in sorted(pages)
        for _, target, _ in _LINK.findall(_FENCE.sub("", page.read_text()))
        if "://" not in target and target != _COMMAND_LINE and not (page.parent / target).exists()
    ]


def _for_the_site(link: re.Match[str]) -> str:
    """Return a link of the repository as a link of the site; a file that is not a page becomes plain text."""
    text, target, anchor = link[1], link[2], link[3] or ""
    if "://" in target:
        return link[0]
    name = target.removeprefix("../").removeprefix("docs/")
    if name in _OF_THE_ROOT:
        return f"[{text}]({_OF_THE_ROOT[name]}{anchor})"
    if name == "README.md":
        return f"[{text}](index.md)"
    return f"[{text}]({name}{anchor})" if name.endswith(".md") and "/" not in name else text


def _command_line() -> str:
    command = [sys.executable, "-m", "typer", "server.__main__", "utils", "docs", "--name", "tenantgate"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return made.replace("# `tenantgate`\n", "# Command line\n", 1)
