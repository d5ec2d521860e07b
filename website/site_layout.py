"""Where files of the repository are on the site."""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "src/phys4d_kedro"
# Names as in "a: [text](target)"; targets of pictures too.
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def site_path(path: str) -> str:
    """Where a file or folder of the repository is, with its anchor if it is code: `docs` itself is the site's root."""
    if path.startswith("docs/") and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    if path.startswith(f"{PACKAGE}/"):
        return _code_path(path)
    if (ROOT / path).is_dir():
        return f"files/{path}/contents.md"
    if path.endswith(".md"):
        return f"project/{path}"
    if path.endswith(".ipynb"):
        return path.removesuffix(".ipynb") + ".md"
    return f"files/{path}"


def linked_files(markdown: str, path: str) -> set[str]:
    """Files and folders of the repository that a page at this path of the repository links to."""
    prose = _CODE.sub("", markdown)
    return {target for _, link, _ in _LINK.findall(prose) if (target := _target(link, path))}


def relink(markdown: str, path: str) -> str:
    """The page with its links as they must be on the site; those to nowhere stay, so that the build names them."""

    def replaced(match: re.Match[str]) -> str:
        target = _target(match[2], path)
        if target is None:
            return match[0]
        place, _, code = site_path(target).partition("#")
        anchor = match[2].partition("#")[2] or code
        relative = posixpath.relpath(place, posixpath.dirname(site_path(path)) or ".")
        return f"{match[1]}{relative}{'#' + anchor if anchor else ''}{match[3]}"

    parts, end = [], 0
    for block in _CODE.finditer(markdown):
        parts += [_LINK.sub(replaced, markdown[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, _LINK.sub(replaced, markdown[end:])])


def _target(link: str, path: str) -> str | None:
    """The path in the repository that a link leads to; None of an address, an anchor and what does not exist."""
    file = link.partition("#")[0]
    if not file or ":" in file:
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
    return target if (ROOT / target).exists() else None


def _code_path(path: str) -> str:
    inside = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").strip("/")
    parts = inside.split("/")
    page = parts[1] if (ROOT / PACKAGE / parts[1]).is_dir() else parts[0]
    return f"api/{page}.md#{'.'.join(parts)}"
