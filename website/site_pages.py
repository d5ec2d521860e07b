"""The site's pages: those of docs/index.md in its order, then notebooks and code, and what they link to.

Functions are hooks of MkDocs.
"""

import re
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from site_api import api_pages
from site_layout import ROOT, linked_files, relink, site_path
from site_notebooks import notebook_page

# Pages by their place on the site -> their path in the repository.
_paths: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Take the navigation from docs/index.md: a section a bold line, a page a link of its list."""
    index = (ROOT / "docs/index.md").read_text()
    sections: list[dict[str, list[str]]] = []
    for bold, link in re.findall(r"^\*\*(.+)\*\*$|^- \[[^\]]+\]\(([^)#]+)\)", index, re.MULTILINE):
        if bold:
            sections.append({bold: []})
        else:
            path = str((ROOT / "docs" / link).resolve().relative_to(ROOT))
            next(iter(sections[-1].values())).append(site_path(path))
    config.nav = ["index.md", *sections, {"Code": list(api_pages())}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the code, and every file outside docs/ that a page links to."""
    _paths.clear()
    _paths.update({file.src_uri: f"docs/{file.src_uri}" for file in files.documentation_pages()})
    for place, text in api_pages().items():
        files.append(File.generated(config, place, content=text))
    waiting = list(_paths.values())
    while waiting:
        page = waiting.pop()
        for path in sorted(linked_files(_markdown(page), page)):
            place = site_path(path)
            if place.startswith("api/") or place in files.src_uris:
                continue
            if place.endswith(".md"):
                _paths[place] = path
                waiting.append(path)
                inclusion = InclusionLevel.NOT_IN_NAV  # those of the index are there all the same
                files.append(File.generated(config, place, content=_markdown(path), inclusion=inclusion))
            else:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links of the site."""
    path = _paths.get(page.file.src_uri)
    return relink(markdown, path) if path else markdown


def _markdown(path: str) -> str:
    """What a file or folder of the repository has to say."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(entry.name for entry in file.iterdir() if entry.is_file() and not entry.name.startswith("."))
        shown = [f"- [{name}]({path.rpartition('/')[2]}/{name})" for name in names]
        return f"# {path}\n\n" + "\n".join(shown) + "\n"
    return notebook_page(path) if file.suffix == ".ipynb" else file.read_text()
