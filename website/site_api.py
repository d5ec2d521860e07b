"""Pages of the code: one a package, its modules with their docstrings."""

from pathlib import Path

from site_layout import PACKAGE, ROOT


def api_pages() -> dict[str, str]:
    """Markdown by place on the site."""
    package = ROOT / PACKAGE
    folders = sorted(path.parent for path in package.glob("*/__init__.py"))
    pages = {f"api/{folder.name}.md": _page(folder.name, sorted(folder.rglob("*.py"))) for folder in folders}
    return {f"api/{package.name}.md": _page(package.name, sorted(package.glob("*.py"))), **pages}


def _page(title: str, files: list[Path]) -> str:
    modules = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files]
    names = [name.removesuffix(".__init__") for name in modules]
    sections = [f"## {name.partition('.')[2] or name} {{ #{name} }}\n\n::: {name}\n" for name in names]
    return "\n".join([f"# {title}\n", *sections])
