"""What the report says: its sections, made from the evaluation, the training histories and the data sets."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.statistics import FLOOR, METRICS
from phys4d_kedro.reporting.player import Player
from phys4d_kedro.reporting.report import Cell, Section, Table
from phys4d_kedro.reporting.tables import format_value, metric_label, predictor_label
from phys4d_kedro.training import run_metadata

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_HEADLINE_METRICS = ("abs_rel", "epe")


@dataclass(frozen=True)
class RunFacts:
    """What ran, JSON-able: held-out clips and their size, clips of each set, seconds of each node, trainings, and words
    and values on the run that made the report."""

    heldout_clips: int
    heldout_scenes: int
    frames: int
    height: int
    width: int
    sets: dict[str, int]
    durations: dict[str, float]
    seeds: int
    machine: str
    run: Sequence[Sequence[str]] = ()


def collect_facts(
    heldout: ClipStore, sets: Mapping[str, ClipStore], durations: Mapping[str, float], seeds: int
) -> RunFacts:
    """Read the facts off the manifests and this machine; `seeds` is how many trainings the table holds."""
    manifest = heldout.manifest
    first = manifest.iloc[0]
    run = run_metadata.declared()
    return RunFacts(
        heldout_clips=len(manifest),
        heldout_scenes=int(manifest["scene"].nunique()),
        frames=int(first["frames"]),
        height=int(first["height"]),
        width=int(first["width"]),
        sets={name: len(store) for name, store in sets.items()},
        durations=dict(durations),
        seeds=seeds,
        machine=describe_machine(),
        run=run_metadata.describe(run) if run else (),
    )


def describe_heads(metrics: Mapping[str, Any], predictor: str, facts: RunFacts) -> str:
    """How well a predictor reads true videos, and the circumstances, in two sentences."""
    results = []
    for metric in _HEADLINE_METRICS:
        mean = metrics[metric]["image"]["means"][predictor]
        info = METRICS[metric]
        results.append(f"{info.label} {format_value(mean['mean'], mean['seed_std'])} {info.unit}".strip())
    minutes = sum(facts.durations.values()) / 60
    return (
        f"On {facts.heldout_clips} held-out clips of {_count(facts.heldout_scenes, 'scene')} ({facts.frames} frames of "
        f"{facts.height}x{facts.width} pixels) the {predictor_label(predictor)} reach {' and '.join(results)} (mean "
        f"and spread of {_count(facts.seeds, 'training')}). The steps took {minutes:.1f} minutes together on "
        f"{facts.machine}."
    )


def describe_machine() -> str:
    """Processors, architecture and, where there is one, the GPU that torch sees."""
    import torch

    gpu = f" and {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{_count(run_metadata.processors(), 'processor')} ({platform.system()} {platform.machine()}){gpu}"


def worlds_section(players: Sequence[Player]) -> Section:
    """Worlds of all stages to play."""
    text = (
        "Each stage goes on from the same first frame and prompt, with the same noise, and reads depth and motion off "
        "its own latents. Watch the objects that move: where are they at the end, and are they still themselves?"
    )
    return Section(heading="Watch", paragraphs=[text], players=players)


def category_section(figures: Mapping[str, "Figure"]) -> Section:
    """Scores by category."""
    text = "How much a generated video moves where and when the simulated one does (docs/simiq.md)."
    return Section(heading="By category", paragraphs=[text], figures=figures)


def horizon_section(figures: Mapping[str, "Figure"]) -> Section:
    """What grows with time."""
    text = "How worlds leave the truth as time goes on (docs/suite.md); the dashed line is what no model undercuts."
    return Section(heading="Over time", paragraphs=[text], figures=figures)


def heads_section(
    metrics: Mapping[str, Any], predictor: str, facts: RunFacts, figures: Mapping[str, "Figure"]
) -> Section:
    """The predictor beside every other one on true videos: values, then margins."""
    return Section(
        heading="Stage 1",
        paragraphs=[describe_heads(metrics, predictor, facts), "docs/metrics.md says what each metric is."],
        tables=[_value_table(metrics, predictor), _margin_table(metrics, predictor)],
        figures=figures,
    )


def clips_section(players: Sequence[Player], predictor: str) -> Section:
    """Clips to play."""
    text = f"Held-out clips: what is true, and what the {predictor_label(predictor)} predict from RGB and prompt."
    return Section(heading="Heads on true videos", paragraphs=[text], players=players)


def scenes_section(figures: Mapping[str, "Figure"]) -> Section:
    """Results by scene."""
    return Section(heading="By scene", figures=figures)


def training_section(facts: RunFacts, figures: Mapping[str, "Figure"]) -> Section:
    """Loss curves and durations."""
    rows = [[Cell(name), Cell(f"{seconds:.1f} s")] for name, seconds in facts.durations.items()]
    caption = "How long each step took when it last ran; one that was resumed counts only what was left to do."
    durations = Table(caption, ["step", "duration"], rows)
    return Section(
        heading="Training",
        tables=[table for table in (durations, _run_table(facts)) if table.rows],
        figures=figures,
    )


def _run_table(facts: RunFacts) -> Table:
    rows = [[Cell(word), Cell(value)] for word, value in facts.run]
    return Table("The run that wrote this report", ["", ""], rows)


def data_section(facts: RunFacts, figures: Mapping[str, "Figure"]) -> Section:
    """The sets of clips."""
    rows = [[Cell(name), Cell(str(count))] for name, count in facts.sets.items()]
    return Section(heading="Data", tables=[Table("Clips in each set", ["set", "clips"], rows)], figures=figures)


def notes_section(metrics: Mapping[str, Any], predictor: str, facts: RunFacts) -> Section:
    """Where the result is weak, and what it does not show."""
    doubts = [
        f"{metric_label(metric, region)}: not surely better than {predictor_label(name)} (margin "
        f"{_interval(margin)}, 95 % interval over clips)."
        for metric, region, name, margin in _all_margins(metrics)
        if margin["low"] <= 0
    ]
    paragraphs = doubts or [
        f"The {predictor_label(predictor)} are ahead of everything else in every metric and region."
    ]
    if facts.seeds == 1:
        paragraphs.append("With a single training nothing can be said of the spread between trainings.")
    paragraphs += [
        "The clips are simulated: scenes of the same kinds as in training, with other seeds. How far the result "
        "carries over to real videos is not measured here, since those have no exact depth or motion.",
        "Colours of depth and motion are scaled to the true values of each clip; a prediction beyond them has the "
        "colour of the end of the scale.",
    ]
    return Section(heading="Notes", paragraphs=paragraphs)


def sample_depths(store: ClipStore, *, clips: int, pixels: int, seed: int) -> NDArray[np.float32]:
    """Finite depths of up to `pixels` random pixels of each of up to `clips` clips spread evenly over a set."""
    rng = np.random.default_rng([seed, 0])
    with_depth = store.manifest.loc[store.manifest["depth_min"].notna(), "clip_id"].tolist()
    chosen = np.unique(np.linspace(0, len(with_depth) - 1, min(clips, len(with_depth))).round().astype(int))
    samples = []
    for index in chosen if with_depth else []:
        depth = store.read_arrays(with_depth[index], ["depth"])["depth"].ravel()
        drawn = depth[rng.integers(depth.size, size=pixels)]
        samples.append(drawn[np.isfinite(drawn)])
    return np.concatenate(samples) if samples else np.zeros(0, np.float32)


def _value_table(metrics: Mapping[str, Any], predictor: str) -> Table:
    names = [*predictor_order(metrics, predictor), FLOOR]
    rows = []
    for metric, region, summary in _summaries(metrics):
        means = summary["means"]
        values = {name: means[name]["mean"] for name in means if name != FLOOR}
        best = (max if METRICS[metric].higher_is_better else min)(values, key=lambda name: values[name])
        cells = [
            Cell(format_value(means[name]["mean"], means[name]["seed_std"]), "strong" if name == best else "")
            if name in means
            else Cell("n/a")
            for name in names
        ]
        rows.append([Cell(metric_label(metric, region)), *cells])
    caption = (
        "Means over clips, ± the standard deviation between trainings; the best of each row is bold. The last column "
        "is what a metric comes to without any error."
    )
    return Table(caption, ["", *(predictor_label(name) for name in names)], rows)


def _margin_table(metrics: Mapping[str, Any], predictor: str) -> Table:
    names = predictor_order(metrics, predictor)[1:]
    rows = []
    for metric, region, summary in _summaries(metrics):
        cells = []
        for name in names:
            margin = summary["margins"].get(name)
            if margin is None:
                cells.append(Cell("n/a"))
            else:
                tone = "ahead" if margin["low"] > 0 else "behind" if margin["high"] < 0 else ""
                spread = f" ± {margin['seed_std']:.3f}" if margin["seed_std"] else ""
                interval = f"{margin['low']:+.3f} to {margin['high']:+.3f}"
                cells.append(Cell(f"{margin['mean']:+.3f}{spread}", tone, interval))
        rows.append([Cell(metric_label(metric, region)), *cells])
    caption = (
        f"How far the {predictor_label(predictor)} are ahead, positive where better, ± the standard deviation between "
        "trainings; below, the 95 % interval of a paired bootstrap over clips. Coloured where it leaves zero out."
    )
    return Table(caption, ["", *(predictor_label(name) for name in names)], rows)


def predictor_order(metrics: Mapping[str, Any], predictor: str) -> list[str]:
    """All predictors but the floor, the one reported on first."""
    found = dict.fromkeys(name for _, _, summary in _summaries(metrics) for name in summary["means"])
    return [predictor, *(name for name in found if name not in (predictor, FLOOR))]


def _summaries(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(metric, region, summary) in the order of METRICS."""
    for metric in METRICS:
        for region, summary in metrics.get(metric, {}).items():
            yield metric, region, summary


def _all_margins(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    for metric, region, summary in _summaries(metrics):
        for name, margin in summary["margins"].items():
            yield metric, region, name, margin


def _interval(margin: Mapping[str, float]) -> str:
    return f"{margin['mean']:+.3f}, {margin['low']:+.3f} to {margin['high']:+.3f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
