"""A folder to send to the leaderboard: figures as CSV and JSON, a card, and, on request, the videos."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig
from phys4d_kedro.evaluation.physics_iq.evaluate import Evaluation
from phys4d_kedro.evaluation.physics_iq.layout import PERSPECTIVES
from phys4d_kedro.evaluation.physics_iq.report import KEYS, RULES
from phys4d_kedro.evaluation.physics_iq.scores import METRICS, Record

# Columns of the official evaluator's tables: how it calls a metric, and the same of the real takes.
_OFFICIAL = {
    "mse": ("v1_mse", "variance_mse"),
    "spatiotemporal_iou": ("spatiotemporal_iou_v1", "variance_spatiotemporal_iou"),
    "spatial_iou": ("spatial_iou_v1", "variance_spatial"),
    "weighted_spatial_iou": ("weighted_spatial_iou_v1", "variance_weighted_spatial"),
}

_SCENARIOS = "scenarios"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file whole. Raises StorageFullError."""
    _write(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_submission(evaluation: Evaluation, results: dict[str, Any], config: PhysicsIqConfig) -> None:
    """Write README.md, results.json, scenarios.csv, <seed>.csv in the official evaluator's form, and <seed>/ videos.

    Raises:
        ConfigurationError: the seeds' folders cannot be told apart by name.
        StorageFullError: the disk is full.
    """
    assert config.submission_dir is not None
    folder = Path(config.submission_dir)
    write_json(folder / "results.json", results)
    _write(folder / f"{_SCENARIOS}.csv", scenario_table(evaluation).to_csv(index=False))
    _write(folder / "README.md", card(results, config))
    names = names_in_folder(list(evaluation.records))
    for run, records in evaluation.records.items():
        name = names[run]
        _write(folder / f"{name}.csv", official_table(records).to_csv(index=False))
        if config.submission_videos != "none":
            taken = {record.view.name: evaluation.files[run][record.view.name] for record in records}
            _place(taken, folder / name, link=config.submission_videos == "links")


def names_in_folder(runs: list[str]) -> dict[str, str]:
    """What the seeds' table and videos are called: the folder's name, after those above it if others have that name."""
    paths = [Path(run) for run in runs]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["_".join(path.parts[-parts:]).replace("/", "") for path in paths]
        if len(set(names)) == len(names) and _SCENARIOS not in names:
            return dict(zip(runs, names, strict=True))
    raise ConfigurationError(
        f"physics_iq.generated_dir: {', '.join(runs)} cannot be told apart by name in the folder of a submission; "
        f"rename one, or link to it by another name"
    )


def scenario_table(evaluation: Evaluation) -> pd.DataFrame:
    """A row a seed and scenario: category, number of views, and every figure of both rules."""
    rows = []
    for run, records in evaluation.records.items():
        for scenario, members in _by_scenario(records):
            row: dict[str, Any] = {"seed": run, "scenario": scenario, "category": members[0].view.category}
            row["views"] = len(members)
            for rule, score in RULES.items():
                row |= {f"{rule}_{key}": value for key, value in score(members).values.items()}
            rows.append(row)
    columns = ["seed", "scenario", "category", "views", *(f"{rule}_{key}" for rule in RULES for key in KEYS)]
    return pd.DataFrame(rows, columns=columns)


def official_table(records: list[Record]) -> pd.DataFrame:
    """Scenarios with all views as the official evaluator's scripts read them: figures of frames are lists."""
    rows = []
    for scenario, members in _by_scenario(records):
        by_view = {record.view.perspective: record.measured for record in members}
        if len(by_view) == len(PERSPECTIVES):
            row: dict[str, Any] = {"scenario": f"{scenario}.mp4"}
            for perspective in PERSPECTIVES:
                for metric in METRICS:
                    for column, comparison in zip(
                        _OFFICIAL[metric],
                        (by_view[perspective].generated, by_view[perspective].variance),
                        strict=True,
                    ):
                        value = getattr(comparison, metric)
                        row[f"{column}_{perspective}"] = list(value) if isinstance(value, tuple) else value
            rows.append(row)
    names = [f"{name}_{view}" for view in PERSPECTIVES for metric in METRICS for name in _OFFICIAL[metric]]
    return pd.DataFrame(rows, columns=["scenario", *names])


def card(results: dict[str, Any], config: PhysicsIqConfig) -> str:
    """README.md of the folder."""
    seeds, rules = results["seeds"], results["rules"]
    lines = [f"# Physics-IQ: {config.model_name}", ""]
    if not results["complete"]:
        scored = ", ".join(str(seed["scored_videos"]) for seed in seeds.values())
        lines += [
            f"**Not complete: {scored} of {results['expected_videos']} videos are scored. No leaderboard result.**"
        ]
        lines += [""]
    lines += ["| rules | " + " | ".join(KEYS) + " |", "|---" * (len(KEYS) + 1) + "|"]
    for rule in RULES:
        group = results[rule]
        digits = {key: 2 if key == "score" else 4 for key in KEYS}
        cells = [_mean_and_std(group[key], group["std"][key], digits[key]) for key in KEYS]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    spread = "mean ± sample standard deviation over seeds" if len(seeds) > 1 else "one seed"
    lines += ["", f"Scores are out of 100. {len(seeds)} seeds: {', '.join(seeds)}; {spread}."]
    lines += [
        "",
        f"- masks: {rules['masks']}",
        f"- OpenCV {rules['opencv']}, PyAV {rules['pyav']}, first {rules['seconds']:g} s of each video",
    ]
    lines += ["", "## By category", "", "| category | original | verified |", "|---|---|---|"]
    for name, group in results["categories"].items():
        scores = (_mean_and_std(group[rule]["score"], group[rule]["std"]["score"], 2) for rule in RULES)
        lines.append(f"| {name} | " + " | ".join(scores) + " |")
    lines += ["", "## Problems", ""]
    lines += [_problem_line(problem) for problem in results["problems"]] or ["None."]
    return "\n".join(lines) + "\n"


def _mean_and_std(mean: float | None, std: float | None, digits: int) -> str:
    if mean is None:
        return "not defined"
    return f"{mean:.{digits}f}" + (f" ± {std:.{digits}f}" if std is not None else "")


def _problem_line(problem: dict[str, Any]) -> str:
    where = problem["run"] or "data set"
    kind = problem["kind"].replace("_", " ")
    return f"- {where}, {kind}: `{problem['file']}`: {problem['message']} ({problem['effect']})"


def _by_scenario(records: list[Record]) -> Iterator[tuple[str, list[Record]]]:
    for scenario in dict.fromkeys(record.view.scenario for record in records):
        yield scenario, [record for record in records if record.view.scenario == scenario]


def _place(files: dict[str, Path], folder: Path, *, link: bool) -> None:
    """Files under the names that the leaderboard wants, anew; the originals are left as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        partial = folder / f"{name}.part"
        partial.unlink(missing_ok=True)
        if link:
            partial.symlink_to(file.resolve())
        else:
            shutil.copyfile(file, partial)
        partial.replace(folder / name)


def _write(path: Path, text: str) -> None:
    fs, inside = open_root(str(path))
    with written_whole(fs, inside) as file:
        file.write(text.encode())
