"""Stages side by side: the table, the figure of margins, the report's section, the sheets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.comparison import (
    comparison_margins,
    comparison_section,
    comparison_table,
    draw_worlds,
)


def test_the_table_has_a_row_a_metric_and_the_best_in_bold(comparison: dict[str, Any]) -> None:
    table = comparison_table(comparison).data[0]
    assert [text.strip("</b>") for text in table.header.values] == [
        "",
        "",
        "stage 1: heads alone",
        "stage 2: SFT",
        "stage 3: RL",
    ]
    _, labels, *stages = table.cells.values
    assert list(labels) == [
        "Motion end-point error, moving objects (pixels) ↓",
        "PSNR (dB) ↑",
        "Frechet distance ↓",
    ]
    assert [column[0] for column in stages] == ["2.20 ± 0.07", "<b>1.20 ± 0.07</b>", "<b>1.20 ± 0.07</b>"]
    assert [column[1].startswith("<b>") for column in stages] == [False, True, True]
    assert [column[2] for column in stages] == ["2", "<b>1</b>", "<b>1</b>"]


def test_margins_are_percent_of_the_earlier_stage(comparison: dict[str, Any]) -> None:
    figure = comparison_margins(comparison)
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == [
        "stage 2: SFT, over stage 1: heads alone",
        "stage 3: RL, over stage 1: heads alone",
        "stage 3: RL, over stage 2: SFT",
    ]
    sft, _, rl = traces.values()
    np.testing.assert_allclose(sft.x, [100 * 1.0 / 2.2, 100 * 1.0 / 18.2])
    np.testing.assert_allclose(sft.error_x.array, 0, atol=1e-9)  # every clip gains the same
    np.testing.assert_allclose(rl.x, 0, atol=1e-9)
    assert [trace.visible for trace in traces.values()] == [True, "legendonly", True]
    assert len(figure.layout.yaxis.ticktext) == 2  # of the distance of sets there is no interval
    assert (np.abs(np.subtract(sft.y, (0, 1))) < 0.5).all()


def test_the_section_says_what_is_surely_ahead(comparison: dict[str, Any]) -> None:
    figures = {"comparison_margins": comparison_margins(comparison)}
    section = comparison_section(comparison, figures)
    means, margins, generated, _ = section.tables
    assert [cell.tone for cell in means.rows[0]] == ["", "", "strong", "strong"]
    assert [cell.tone for cell in margins.rows[0]] == ["", "ahead", "ahead", ""]
    assert margins.rows[0][1].text == "+1"
    assert len(generated.rows) == 2
    assert section.figures == figures


def test_a_sheet_has_a_row_a_stage_in_the_colours_of_the_truth(heldout: ClipStore, tmp_path: Path) -> None:
    truth = heldout[0]
    assert truth.depth is not None
    further = truth.with_(rgb=truth.rgb[:, ::-1].copy(), depth=truth.depth * 1.5)
    figure = draw_worlds(truth, {"stage1": truth, "rl": further}, columns=3)
    rows = np.array([axis.images[0].get_array() for axis in figure.axes]).reshape(3, 5, *truth.size, 3)
    np.testing.assert_array_equal(rows[0, :3], truth.rgb[[0, 2, 4]])
    np.testing.assert_array_equal(rows[1], rows[0])
    np.testing.assert_array_equal(rows[2, :3], further.rgb[[0, 2, 4]])
    assert rows[2, 3].mean() < rows[0, 3].mean()
    np.testing.assert_array_equal(rows[2, 4], rows[0, 4])
    labels = [" ".join(axis.get_ylabel().split()) for axis in figure.axes[::5]]
    assert labels == ["truth", "stage 1: heads alone", "stage 3: RL"]
    figure.savefig(tmp_path / "sheet.png")
    assert min(Image.open(tmp_path / "sheet.png").size) > 300


def test_a_world_needs_depth_and_motion(heldout: ClipStore, real: ClipStore) -> None:
    with pytest.raises(MissingAnnotationError, match="'v0'"):
        draw_worlds(heldout[0], {"sft": real[0]}, columns=2)
