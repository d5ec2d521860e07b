"""The reporting pipeline through Kedro's own command line and catalog."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro_datasets.json import JSONDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset
from PIL import Image

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.comparison import comparison_margins

HISTORIES = ("autoencoder_history", "transformer_history", "pretrain_history")
LATER = ("sft_history", "appearance_control_history")


@pytest.mark.slow
def test_pipeline_writes_report_sheets_and_figures(
    *,
    project: Path,
    kedro: Callable[..., subprocess.CompletedProcess[str]],
    sets: dict[str, ClipStore],
    predictions: ClipStore,
    evaluation: tuple[pd.DataFrame, dict[str, Any], list[pd.DataFrame]],
    rewards: pd.DataFrame,
    comparison: dict[str, Any],
) -> None:
    data = project / "data"
    for folder, store in (
        ("02_intermediate/simulated_clips_train", sets["train"]),
        ("02_intermediate/simulated_clips_heldout", sets["heldout"]),
        ("02_intermediate/real_clips", sets["real"]),
        ("03_primary/labeled_clips", sets["labeled"]),
        ("07_model_output/predictions", predictions),
    ):
        shutil.copytree(store.path, data / folder)
    table, metrics, histories = evaluation
    (data / "08_reporting").mkdir()
    table.to_parquet(data / "08_reporting/evaluation.parquet", index=False)
    (project / "metrics").mkdir()
    for name, history in zip(HISTORIES, histories, strict=True):
        history.to_csv(project / f"metrics/{name}.csv", index=False)
    for name in LATER:
        histories[-1].assign(stage=name.removesuffix("_history")).to_csv(project / f"metrics/{name}.csv", index=False)
    rewards.to_csv(project / "metrics/rl_validation.csv", index=False)
    JSONDataset(filepath=project / "metrics/evaluation.json").save(metrics)
    JSONDataset(filepath=project / "metrics/comparison.json").save(comparison)
    FigureDataset(filepath=data / "08_reporting/figures/comparison_margins.json").save(comparison_margins(comparison))

    result = kedro("run", "--pipeline=reporting", "--params=reporting.examples=2")

    assert result.returncode == 0, result.stderr[-3000:]
    reporting = data / "08_reporting"
    assert "8 held-out clips" in (reporting / "report.html").read_text()
    sheets = sorted((reporting / "sheets").glob("*.png"))
    assert [sheet.stem for sheet in sheets] == sets["heldout"].ids[:2]
    assert Image.open(sheets[0]).width > 500
    figures = sorted((reporting / "figures").glob("*.json"))
    assert len(figures) == 9
    assert all(FigureDataset(filepath=figure).preview()["data"] for figure in figures)
    durations = JSONDataset(filepath=reporting / "node_durations.json").load()
    assert "write_report_node" in durations
