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
from phys4d_kedro.reporting.simiq import simiq_scores
from phys4d_kedro.reporting.suite import suite_horizons

HISTORIES = ("autoencoder_history", "transformer_history", "pretrain_history")
VALIDATIONS = ("sft_validation", "appearance_control_validation")
LATER = ("sft_history", "appearance_control_history")


@pytest.mark.slow
def test_pipeline_writes_report_sheets_and_figures(
    *,
    project: Path,
    kedro: Callable[..., subprocess.CompletedProcess[str]],
    sets: dict[str, ClipStore],
    predictions: ClipStore,
    worlds: ClipStore,
    evaluation: tuple[pd.DataFrame, dict[str, Any], list[pd.DataFrame]],
    validations: list[pd.DataFrame],
    rewards: pd.DataFrame,
    comparison: dict[str, Any],
    simiq: dict[str, Any],
    suite: dict[str, Any],
) -> None:
    data = project / "data"
    for folder, store in (
        ("02_intermediate/simulated_clips_train", sets["train"]),
        ("02_intermediate/simulated_clips_heldout", sets["heldout"]),
        ("02_intermediate/real_clips", sets["real"]),
        ("03_primary/labeled_clips", sets["labeled"]),
        ("07_model_output/predictions", predictions),
        ("07_model_output/comparison_clips", worlds),
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
    for name, validation in zip(VALIDATIONS, validations, strict=True):
        validation.to_csv(project / f"metrics/{name}.csv", index=False)
    for name, values in (("comparison", comparison), ("simiq", simiq), ("suite", suite)):
        JSONDataset(filepath=project / f"metrics/{name}.json").save(values)
    for name, figure in (
        ("comparison_margins", comparison_margins(comparison)),
        ("simiq", simiq_scores(simiq)),
        ("suite_horizons", suite_horizons(suite)),
    ):
        FigureDataset(filepath=data / f"08_reporting/figures/{name}.json").save(figure)

    result = kedro("run", "--pipeline=reporting", "--params=reporting.examples=2")

    assert result.returncode == 0, result.stderr[-3000:]
    reporting = data / "08_reporting"
    assert "8 held-out clips" in (reporting / "report.html").read_text()
    sheets = sorted((reporting / "sheets").glob("*.png"))
    assert [sheet.stem for sheet in sheets] == sets["heldout"].ids[:2]
    assert Image.open(sheets[0]).width > 500
    figures = sorted((reporting / "figures").glob("*.json"))
    assert len(figures) == 12
    assert all(FigureDataset(filepath=figure).preview()["data"] for figure in figures)
    durations = JSONDataset(filepath=reporting / "node_durations.json").load()
    assert "report.write_report_node" in durations
