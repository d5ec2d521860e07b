"""Notebooks as pages: code and, where `make notebooks` has run them, what comes of it."""

import json
from pathlib import Path
from typing import Any

from site_layout import ROOT

EXECUTED = ROOT / "notebooks/executed"


def notebook_page(path: str) -> str:
    """A notebook of the repository as Markdown."""
    source, executed = ROOT / path, EXECUTED / Path(path).name
    fresh = executed.exists() and executed.stat().st_mtime >= source.stat().st_mtime
    cells = json.loads((executed if fresh else source).read_text())["cells"]
    return "\n\n".join(_cell(cell) for cell in cells) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return source
    shown = [_output(output) for output in cell["outputs"]]
    return "\n\n".join([f"```python\n{source}\n```", *filter(None, shown)])


def _output(output: dict[str, Any]) -> str:
    """What a cell printed or showed; progress bars, which go to stderr, are left out."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img src="data:image/png;base64,{"".join(data["image/png"]).replace(chr(10), "")}" alt="">'
    if "text/html" in data:
        return "".join(line.strip() for line in "".join(data["text/html"]).splitlines())
    text = "".join(data.get("text/plain", output.get("text", "") if output.get("name") == "stdout" else ""))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
