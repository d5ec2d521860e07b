"""The notebooks run from beginning to end, show pictures, and say what they promise; git has none of their outputs."""

import os
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

# What must hold at the end of each, in its own words.
CHECKS = {
    "01_explore_clips": """
        assert medians["true motion"] < 0.1 * medians["no motion"]
        assert store.ids == [clip.clip_id for clip in clips]
        assert np.allclose(store[0].depth, clip.depth, rtol=1e-3)
    """,
    "02_train_and_compare_stages": """
        assert set(metrics["generation"]["motion_iou"]["means"]) == {"stage1", "appearance_control", "sft", "rl"}
        assert pd.DataFrame(means).notna().all(axis=None)
        assert not (PROJECT / "data").samefile("data")
    """,
    "03_evaluate_your_own_video": """
        for metric in ("photometric_error", "cycle_error"):
            assert scores["the same, flickering"][metric] > 1.2 * scores[VIDEO.name][metric]
        assert table.notna().all(axis=None)
    """,
}


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook of a file, checked against the format."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_git_has_no_outputs(name: str) -> None:
    code = [cell for cell in read(NOTEBOOKS / f"{name}.ipynb").cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CHECKS)
def test_notebook_runs_to_its_end(name: str) -> None:
    notebook = read(NOTEBOOKS / f"{name}.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell(textwrap.dedent(CHECKS[name])))
    # With the notebook's own backend pictures are shown; the tests' shows none.
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(NOTEBOOKS)}})
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
