"""The folder for the leaderboard: tables that score the same when read again, a card, and videos under their names."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.evaluate import evaluate
from phys4d_kedro.evaluation.physics_iq.report import summarise
from phys4d_kedro.evaluation.physics_iq.submission import names_in_folder, write_submission
from tests.evaluation.physics_iq import reference
from tests.evaluation.physics_iq.official_set import VIEWS, Configure, OfficialSet

NAMES = {
    "mse": ("v1_mse", "variance_mse"),
    "spatiotemporal_iou": ("spatiotemporal_iou_v1", "variance_spatiotemporal_iou"),
    "spatial_iou": ("spatial_iou_v1", "variance_spatial"),
    "weighted_spatial_iou": ("weighted_spatial_iou_v1", "variance_weighted_spatial"),
}


@pytest.mark.parametrize("videos", ["none", "links", "copies"])
def test_folder(official: OfficialSet, configure: Configure, tmp_path: Path, videos: str) -> None:
    for seed in (0, 1):
        official.generate(f"seed_{seed}", seed=seed)
    name = official.name("ball-falls", VIEWS[0])
    misnamed = official.generated / "seed_1" / "0001_misnamed.mp4"
    (official.generated / "seed_1" / name).rename(misnamed)
    folder = tmp_path / "submission"
    config = configure(submission_dir=str(folder), submission_videos=videos, model_name="tiny")
    evaluation = evaluate(config)
    results = summarise(evaluation, config)
    for _ in range(2):  # again over what is there
        write_submission(evaluation, results, config)

    assert json.loads((folder / "results.json").read_text()) == results
    table = pd.read_csv(folder / "scenarios.csv")
    assert len(table) == 4
    row = table[(table["seed"] == "seed_0") & (table["scenario"] == "water-pours")].iloc[0]
    assert row["category"] == "Fluid Dynamics"
    assert row["views"] == 3
    card = (folder / "README.md").read_text()
    assert card.startswith("# Physics-IQ: tiny\n")
    assert f"{results['verified']['score']:.2f} ± {results['verified']['std']['score']:.2f}" in card
    assert "0001_misnamed.mp4" in card
    placed = sorted(path.name for path in (folder / "seed_1").glob("*")) if videos != "none" else []
    assert placed == ([official.name(*event) for event in official.events()] if videos != "none" else [])
    if videos != "none":
        assert (folder / "seed_1" / name).is_symlink() == (videos == "links")
        assert (folder / "seed_1" / name).read_bytes() == misnamed.read_bytes()
    assert not list(folder.rglob("*.part"))


def test_folders_of_one_name_are_kept_apart(official: OfficialSet, configure: Configure, tmp_path: Path) -> None:
    for seed, name in enumerate(("a/videos", "b/videos")):
        official.generate(name, seed=seed)
    folders = (str(official.generated / "a/videos"), str(official.generated / "b/videos"))
    folder = tmp_path / "submission"
    config = configure(generated_dir=folders, submission_dir=str(folder), submission_videos="copies")
    evaluation = evaluate(config)
    write_submission(evaluation, summarise(evaluation, config), config)
    tables = [(folder / f"{name}_videos.csv").read_text() for name in "ab"]
    assert tables[0] != tables[1]
    video = official.name("ball-falls", VIEWS[0])
    for name in "ab":
        taken = (folder / f"{name}_videos" / video).read_bytes()
        assert taken == (official.generated / name / "videos" / video).read_bytes()


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        (["/x/a", "/x/b"], ["a", "b"]),
        (["/x/a/v", "/x/b/v", "/x/c"], ["a_v", "b_v", "x_c"]),
        (["v", "/v"], ["v", "_v"]),
        (["/x/scenarios"], ["x_scenarios"]),  # scenarios.csv is taken
    ],
)
def test_names_are_as_short_as_tell_apart(runs: list[str], names: list[str]) -> None:
    assert list(names_in_folder(runs).values()) == names


def test_names_that_stay_alike_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"a/b_c, a_b/c.*rename one"):
        names_in_folder(["a/b_c", "a_b/c", "c"])


def test_official_tables_score_the_same(official: OfficialSet, configure: Configure, tmp_path: Path) -> None:
    official.generate()
    config = configure(submission_dir=str(tmp_path / "submission"))
    evaluation = evaluate(config)
    results = summarise(evaluation, config)
    write_submission(evaluation, results, config)
    table = pd.read_csv(tmp_path / "submission" / "generated.csv")
    rows = []
    for row in table.to_dict("records"):
        for view in VIEWS:
            read = [
                {metric: np.atleast_1d(json.loads(str(row[f"{names[i]}_{view}"]))) for metric, names in NAMES.items()}
                for i in (0, 1)
            ]
            read = [{m: v.tolist() if len(v) > 1 else float(v[0]) for m, v in part.items()} for part in read]
            rows.append({"scenario": row["scenario"], "view": view, "model": read[0], "variance": read[1]})
    for rule, scores in reference.scores(rows).items():
        assert results[rule]["score"] == pytest.approx(scores["score"], rel=1e-12)
