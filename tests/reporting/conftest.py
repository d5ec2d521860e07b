"""Small inputs of the report: eight clips of two scenes, predictions of them, and an evaluation table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import make_clip

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison import COLUMNS, GENERATION, PERCEPTION, summarise_comparison
from phys4d_kedro.evaluation.physics_iq.layout import PERSPECTIVES
from phys4d_kedro.evaluation.simiq.frozen import load_version
from phys4d_kedro.evaluation.simiq.measure import COLUMNS as SIMIQ_COLUMNS
from phys4d_kedro.evaluation.simiq.scores import summarise_simiq
from phys4d_kedro.evaluation.statistics import summarise_scores
from phys4d_kedro.evaluation.suite.summary import summarise_suite
from phys4d_kedro.evaluation.suite.table import COLUMNS as SUITE_COLUMNS

SCENES = ("ball_ramp", "block_domino")
# Mean value of each predictor: AbsRel, end-point error (`pixel_median` has none).
LEVELS = {"heads": (0.1, 0.5), "constant_median": (0.4, 1.0), "pixel_median": (0.05, None), "exact": (0.0, 0.0)}

# Values of the three stages that are there: the error of a training and clip is a tenth more with each seed and clip.
STAGE_LEVELS = {"stage1": 2.0, "sft": 1.0, "rl": 1.0}


def clip(index: int) -> Clip:
    """Clip `index`, of the scenes in turn."""
    return make_clip(index, height=16, width=16).with_(scene=SCENES[index % 2], prompt='a "ball" <rolls>')


def predicted(truth: Clip, predictor: str) -> Clip:
    """A noisy copy, as an evaluation saves it."""
    rng = np.random.default_rng(len(predictor))
    assert truth.depth is not None
    noise = np.exp(rng.normal(0, 0.1, truth.depth.shape)).astype(np.float32)
    return truth.with_(clip_id=f"{truth.clip_id}.{predictor}", depth=truth.depth * noise)


@pytest.fixture(scope="session")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Eight clips of two scenes."""
    path = tmp_path_factory.mktemp("heldout")
    write_shards((clip(i) for i in range(8)), str(path), clips_per_shard=4)
    return ClipStore(str(path))


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """The first six clips as two predictors see them."""
    path = tmp_path_factory.mktemp("predictions")
    clips = (predicted(clip(i), name) for i in range(6) for name in ("heads", "constant_median"))
    write_shards(clips, str(path), clips_per_shard=4)
    return ClipStore(str(path))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Two clips that have RGB alone."""
    path = tmp_path_factory.mktemp("real")
    rgb = np.zeros((5, 16, 16, 3), np.uint8)
    write_shards(
        [Clip(clip_id=f"v{i}", rgb=rgb, fps=8, source="import") for i in range(2)], str(path), clips_per_shard=4
    )
    return ClipStore(str(path))


@pytest.fixture(scope="session")
def sets(heldout: ClipStore, real: ClipStore) -> dict[str, ClipStore]:
    """The sets of clips of a run, by the nodes' names for them."""
    return {"train": heldout, "heldout": heldout, "real": real, "labeled": heldout}


@pytest.fixture(scope="session")
def table(heldout: ClipStore) -> pd.DataFrame:
    """An evaluation: `heads` with three seeds 0.02 apart, the others with one."""
    rows = []
    for predictor, levels in LEVELS.items():
        for seed in (0, 1, 2) if predictor == "heads" else (None,):
            for metric, level in zip(("abs_rel", "epe"), levels, strict=True):
                for number, (clip_id, scene) in enumerate(zip(heldout.ids, heldout.manifest["scene"], strict=True)):
                    for region in ("image", "objects") if level is not None else ():
                        value = level * (1 if region == "image" else 2) + 0.02 * ((seed or 0) - 1) + 0.02 * (number % 2)
                        rows.append((predictor, seed, clip_id, scene, region, metric, value))
    columns = ["predictor", "seed", "clip_id", "scene", "region", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"seed": "Int64"})


@pytest.fixture(scope="session")
def metrics(table: pd.DataFrame) -> dict[str, Any]:
    """The table in short, as the evaluation writes it."""
    return json.loads(json.dumps(summarise_scores(table, subject="heads", resamples=50, seed=0)))


@pytest.fixture(scope="session")
def comparison() -> dict[str, Any]:
    """Two metrics of clips, one that is better when higher, and one of all clips."""
    rows: list[tuple[Any, ...]] = []
    for stage, level in STAGE_LEVELS.items():
        for seed in (0, 1):
            values = {(PERCEPTION, "epe_objects"): level, (GENERATION, "psnr"): 20 - level}
            for (kind, metric), value in values.items():
                rows += [(kind, stage, seed, None, f"c{i}", "s", metric, value + (seed + i) / 10) for i in range(4)]
            rows.append((GENERATION, stage, seed, 0, None, None, "frechet", level))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})
    return summarise_comparison(table, resamples=50, seed=0)


@pytest.fixture(scope="session")
def suite() -> dict[str, Any]:
    """4D suite of the same stages: stage 2 halves every error but that of normals, stage 3 doubles that of depth."""
    rows: list[tuple[Any, ...]] = []
    about = [(f"c{i}", "s", "rigid_bodies") for i in range(4)]
    for clip, *facts in about:
        rows += [("exact", "truth", None, None, clip, *facts, "chamfer_4d", at, 0.1) for at in (0.5, 1.0)]
        for stage, level in STAGE_LEVELS.items():
            for judge in ("heads", "estimators"):
                i = int(clip[1:])
                who = judge, stage, 0, 0, clip, *facts
                depth = 4.0 if stage == "rl" else level
                rows += [(*who, "depth_abs_rel", None, depth * (1 + i / 10)), (*who, "normal_error", None, 20.0 + i)]
                rows += [(*who, "chamfer_4d", at, level * (at or 2) * (1 + i / 10)) for at in (None, 0.5, 1.0)]
    table = pd.DataFrame(rows, columns=list(SUITE_COLUMNS))
    table = table.astype({"seed": "Int64", "sample": "Int64", "horizon": "Float64"})
    return summarise_suite(table, resamples=50, seed=0)


@pytest.fixture(scope="session")
def simiq() -> dict[str, Any]:
    """SimIQ of the same stages, each with IoUs of its own, half as high in every other scenario."""
    ious = {"takes": 0.8, "still": 0.1, "stage1": 0.2, "sft": 0.4, "rl": 0.4}
    rows: list[tuple[Any, ...]] = []
    for method, level in ious.items():
        who = (method, None, None) if method in ("takes", "still") else (method, 0, 0)
        for number in range(4):
            iou = level / (1 + number % 2)
            about = (
                f"simiq-s-{number}-v0-t0",
                f"s-{number}",
                PERSPECTIVES[0],
                "s",
                ("cloth", "rigid_bodies")[number % 2],
            )
            rows.append((*who, *about, (0.01, 0.02), (iou, iou), iou, iou, True, True))
    table = pd.DataFrame(rows, columns=list(SIMIQ_COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})
    return summarise_simiq(table, load_version("nano-short-1"), resamples=20, seed=0)


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """What two stages make of the beginning of the first three clips."""
    path = tmp_path_factory.mktemp("worlds")
    made = [
        predicted(clip(i), stage).with_(clip_id=f"{clip(i).clip_id}.{stage}.seed0.0", rgb=clip(i).rgb[::-1].copy())
        for stage in ("stage1", "sft")
        for i in range(3)
    ]
    write_shards(made, str(path), clips_per_shard=4)
    return ClipStore(str(path))


@pytest.fixture(scope="session")
def validations() -> list[pd.DataFrame]:
    """Validation losses of stage 2, which falls, and of its control, which does not."""
    parts = ("denoising_loss", "depth_loss", "motion_loss", "warp_loss")
    return [
        pd.DataFrame({"step": [0, 50, 100], "stage": stage, "seed": 0} | dict.fromkeys(parts, losses))
        for stage, losses in (("sft", [1.0, 0.8, 0.7]), ("appearance_control", [1.0, 1.0, 1.0]))
    ]


@pytest.fixture(scope="session")
def histories() -> list[pd.DataFrame]:
    """Losses of two stages."""
    steps = np.arange(10, 1010, 10)
    return [
        pd.DataFrame({"stage": stage, "seed": seed, "step": steps, "loss": 1 / steps})
        for stage, seed in (("transformer", 0), ("pretrain", 0), ("pretrain", 1))
    ]


@pytest.fixture(scope="session")
def rewards() -> pd.DataFrame:
    """Validations of two policies: the judged reward rises, the independent one does not."""
    steps = [2, 4, 6]
    return pd.concat(
        [
            pd.DataFrame({"seed": seed, "step": steps, "reward": [-1.0, -0.8, -0.6], "independent": [-1.2, -1.2, -1.3]})
            for seed in (0, 1)
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is looked at in a browser."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def evaluation(
    table: pd.DataFrame, metrics: dict[str, Any], histories: list[pd.DataFrame]
) -> tuple[pd.DataFrame, dict[str, Any], list[pd.DataFrame]]:
    """What the pipelines before the report leave: scores, their summary, loss curves."""
    return table, metrics, histories
