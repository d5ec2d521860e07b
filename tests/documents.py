"""The project's documents, and the commands they give."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "conf/README.md", "weights/README.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]

_PROGRAMS = {
    *("kedro", "make", "dvc", "python", "pip", "uv", "git", "hf", "accelerate", "srun", "sbatch", "ray", "rerun"),
    *("tensorboard", "optuna", "optuna-dashboard", "mkdocs", "jupyter", "~/mlflow/bin/mlflow"),
}
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_SHELLS = ("", "sh", "bash", "console")


def commands(document: Path) -> Iterator[str]:
    """Every command of a document, in blocks of code and in its text, on one line and without comment."""
    text = re.sub(r"\\\n\s*", "", document.read_text())
    lines = [line for _, kind, block in _FENCE.findall(text) if kind in _SHELLS for line in block.splitlines()]
    spans = re.findall(r"`([^`]+)`", _FENCE.sub("", text))
    for found in (*lines, *spans):
        command = re.sub(r"(^|\s+)#.*", "", " ".join(found.split()))
        if command.partition(" ")[0] in _PROGRAMS and " " in command:
            yield command
