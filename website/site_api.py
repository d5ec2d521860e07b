"""Pages of the code: one a package, its modules with their docstrings."""

import ast
from collections.abc import Iterable
from pathlib import Path

from site_layout import PACKAGE, ROOT


def api_pages() -> dict[str, str]:
    """Markdown by place on the site."""
    package = ROOT / PACKAGE
    folders = sorted(path.parent for path in package.glob("*/__init__.py"))
    pages = {f"api/{folder.name}.md": _page(folder.name, _described(folder.rglob("*.py"))) for folder in folders}
    return {f"api/{package.name}.md": _page(package.name, _described(package.glob("*.py"))), **pages}


def _described(files: Iterable[Path]) -> list[Path]:
    """Those with a docstring; an empty __init__.py has none."""
    return sorted(file for file in files if ast.get_docstring(ast.parse(file.read_text())))


def _page(title: str, files: list[Path]) -> str:
    modules = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files]
    names = [name.removesuffix(".__init__") for name in modules]
    sections = [f"## {name.partition('.')[2] or name} {{ #{name} }}\n\n::: {name}\n" for name in names]
    return "\n".join([f"# {title}\n", *sections])
