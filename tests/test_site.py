"""The documents build into a site without a warning; its links lead somewhere, and it loads nothing from elsewhere."""

import base64
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

pytest.importorskip("mkdocs", reason="mkdocs is not installed; `pip install -e '.[docs]'`")

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("mkdocs.yml", "website")


class Page(HTMLParser):
    """What a page points to (`links`), what it loads by itself (`loaded`), and its anchors."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        values = {name: value for name, value in attributes if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        address = values.get("href") or values.get("src")
        if address and not address.startswith("data:"):
            (self.links if tag == "a" else self.loaded).add(unquote(address))


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run MkDocs, strictly as mkdocs.yml says; `--quiet` would make it overlook its own warnings."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the project."""
    folder = tmp_path_factory.mktemp("site")
    result = build(ROOT, folder)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of it. The page of errors has links from the root of a server."""
    return {file: Page(file) for file in site.rglob("*.html") if file.name != "404.html"}


@pytest.mark.slow
def test_every_document_and_package_has_a_page(site: Path) -> None:
    documents = {f"{page.relative_to(ROOT / 'docs').with_suffix('.html')}" for page in ROOT.glob("docs/**/*.md")}
    notebooks = {f"notebooks/{notebook.stem}.html" for notebook in ROOT.glob("notebooks/*.ipynb")}
    packages = {f"api/{path.parent.name}.html" for path in ROOT.glob("src/phys4d_kedro/*/__init__.py")}
    built = {str(page.relative_to(site)) for page in site.rglob("*.html")}
    assert documents | notebooks | packages <= built


@pytest.mark.slow
def test_links_lead_to_pages_and_anchors(pages: dict[Path, Page]) -> None:
    broken = []
    for file, page in pages.items():
        for link in page.links | page.loaded:
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            if "://" in link:
                continue
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append(f"{file.name}: {link}")
    assert broken == []
    clip = next(page for file, page in pages.items() if file.match("api/clips.html"))
    assert "phys4d_kedro.clips.clip.Clip" in clip.anchors


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert {address for page in pages.values() for address in page.loaded if "//" in address} == set()


@pytest.mark.slow
def test_formulas_are_drawn(site: Path) -> None:
    text = (site / "suite.html").read_text()
    assert text.count("<math") == (ROOT / "docs/suite.md").read_text().count("$") // 2
    assert "arithmatex" not in text.partition("<article")[2]


class TestSmall:
    """A project of one document."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """With a README, a module, a folder and a notebook that has been run."""
        for name in BUILT_FROM:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
        for name in ("docs", "src/phys4d_kedro/clips", "notebooks/executed", "data"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "README.md").write_text("# Read me\n\n[All](docs/index.md)\n")
        (tmp_path / "data/table.csv").write_text("a,b\n")
        for name in ("__init__", "clips/__init__", "clips/clip"):
            (tmp_path / f"src/phys4d_kedro/{name}.py").write_text('"""A module."""\n')
        source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("draw()")])
        nbformat.write(source, tmp_path / "notebooks/look.ipynb")
        picture = base64.b64encode(b"picture").decode()
        source.cells[0].outputs = [nbformat.v4.new_output("display_data", {"image/png": picture})]
        nbformat.write(source, tmp_path / "notebooks/executed/look.ipynb")
        linked = ("../notebooks", "../notebooks/look.ipynb", "../data", "../src/phys4d_kedro/clips/clip.py")
        self.write(tmp_path, "../README.md", *linked)
        return tmp_path

    def write(self, project: Path, listed: str, *mentioned: str) -> None:
        """The document: a list of one page, as the site's navigation is, and links in its text."""
        text = "".join(f"See [this]({link}).\n" for link in mentioned)
        (project / "docs/index.md").write_text(f"# All pages\n\n**Start**\n\n- [page]({listed})\n\n{text}")

    def test_files_outside_the_documents_are_on_the_site(self, project: Path) -> None:
        assert build(project, project / "site").returncode == 0
        index = Page(project / "site/index.html")
        expected = {
            "project/index.html",
            "notebooks/look.html",
            "files/notebooks/contents.html",
            "files/data/contents.html",
            "api/clips.html#phys4d_kedro.clips.clip",
        }
        assert expected <= index.links
        assert (project / "site/files/data/table.csv").read_text() == "a,b\n"
        notebook = (project / "site/notebooks/look.html").read_text()
        assert base64.b64encode(b"picture").decode() in notebook

    @pytest.mark.parametrize("link", ["nowhere.md", "../nowhere.py", "#nowhere", "../src/phys4d_kedro/clips/clap.py"])
    def test_a_link_to_nowhere_stops_the_build(self, project: Path, link: str) -> None:
        self.write(project, "../README.md", link)
        result = build(project, project / "site")
        assert result.returncode != 0
        assert link.lstrip("#") in result.stderr
