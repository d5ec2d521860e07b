"""The comparison of stages to look at: a table, a figure of margins with their intervals, and sheets of worlds."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.comparison import COMPARISON_METRICS, GENERATION, PERCEPTION, STAGES
from phys4d_kedro.evaluation.statistics import Metric
from phys4d_kedro.reporting.colors import depth_colors, depth_range, motion_colors, motion_scale
from phys4d_kedro.reporting.figures import COLORS, GRID, SYMBOLS, style_figure
from phys4d_kedro.reporting.report import Cell, Section, Table
from phys4d_kedro.reporting.stages import STAGE_LABELS
from phys4d_kedro.reporting.tables import format_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet
    from plotly.graph_objects import Figure

_KIND_LABELS = {PERCEPTION: "True videos, read", GENERATION: "Worlds, generated"}
# What the figure of margins shows at first; the others are a click away.
_SHOWN_PAIRS = (("sft", "stage1"), ("sft", "appearance_control"), ("rl", "sft"))
_ROW_HEIGHT = 34  # pixels
_FRAME_WIDTH = 1.5  # inches


def comparison_table(metrics: Mapping[str, Any]) -> "Figure":
    """Means of every metric and stage, ± the spread between trainings, the best of a row bold."""
    import plotly.graph_objects as go

    stages, rows = _stages(metrics), list(_rows(metrics))
    columns = [
        [_KIND_LABELS[kind] for kind, *_ in rows],
        [_label(metric) for _, metric, _ in rows],
        *([_bold(*_value(metric, summary, stage)) for _, metric, summary in rows] for stage in stages),
    ]
    clear = "rgba(0, 0, 0, 0)"
    look = {"align": "left", "fill": {"color": clear}, "line": {"color": GRID}, "height": 26}
    header = ["", "", *(f"<b>{STAGE_LABELS[stage]}</b>" for stage in stages)]
    figure = go.Figure(
        go.Table(
            header={"values": header, **look},
            cells={"values": columns, **look},
            columnwidth=[2, 4, *([2] * len(stages))],
        )
    )
    style_figure(figure, title="Stages compared", x="", y="")
    figure.update_layout(height=120 + 27 * len(rows))
    return figure


def comparison_margins(metrics: Mapping[str, Any]) -> "Figure":
    """How far a stage is ahead of an earlier one, in percent of the earlier one's mean, with 95 % intervals.

    A metric that has no interval, or whose earlier mean is zero, is left out.
    """
    import plotly.graph_objects as go

    rows = [row for row in _rows(metrics) if any(_pairs(row[2]))]
    pairs = list(dict.fromkeys((stage, other) for _, _, summary in rows for stage, other, _ in _pairs(summary)))
    figure = go.Figure()
    for number, (stage, other) in enumerate(pairs):
        points = [
            (index + 0.7 * ((number + 0.5) / len(pairs) - 0.5), margin, 100 / summary["means"][other]["mean"])
            for index, (_, _, summary) in enumerate(rows)
            for own, baseline, margin in _pairs(summary)
            if (own, baseline) == (stage, other)
        ]
        figure.add_scatter(
            x=[margin["mean"] * percent for _, margin, percent in points],
            y=[place for place, _, _ in points],
            error_x={
                "array": [(margin["high"] - margin["mean"]) * percent for _, margin, percent in points],
                "arrayminus": [(margin["mean"] - margin["low"]) * percent for _, margin, percent in points],
                "thickness": 1.5,
            },
            mode="markers",
            marker={"size": 9, "color": COLORS[number % 7], "symbol": SYMBOLS[number % 7]},
            name=f"{STAGE_LABELS[stage]}, over {STAGE_LABELS[other]}",
            hovertext=[
                f"{margin['mean']:+.4g} ({margin['low']:+.4g} to {margin['high']:+.4g})" for _, margin, _ in points
            ],
            visible=True if (stage, other) in _SHOWN_PAIRS else "legendonly",
        )
    style_figure(figure, title="Margins between stages, 95 % intervals", x="% better than the earlier stage", y="")
    labels = ["<br>".join(textwrap.wrap(_label(metric), 30)) for _, metric, _ in rows]
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=labels, autorange="reversed")
    figure.update_xaxes(zeroline=True, zerolinewidth=2)
    figure.update_layout(height=260 + _ROW_HEIGHT * len(rows))
    return figure


def comparison_section(metrics: Mapping[str, Any], figures: Mapping[str, "Figure"]) -> Section:
    """The stages beside each other for the report: means, margins of each over the earlier ones, and figures."""
    stages = _stages(metrics)
    tables = []
    for kind, label in _KIND_LABELS.items():
        own = [(metric, summary) for of, metric, summary in _rows(metrics) if of == kind]
        rows = [
            [Cell(_label(metric)), *(_value_cell(metric, summary, stage) for stage in stages)]
            for metric, summary in own
        ]
        tables.append(
            Table(
                f"{label}: means, ± the spread between trainings",
                ["", *(STAGE_LABELS[stage] for stage in stages)],
                rows,
            )
        )
        pairs = list(dict.fromkeys((s, o) for _, summary in own for s, o, _ in _pairs(summary)))
        rows = [
            [Cell(_label(metric)), *(_margin_cell(summary, *pair) for pair in pairs)]
            for metric, summary in own
            if any(_pairs(summary))
        ]
        heads = [f"{STAGE_LABELS[stage]}, over {STAGE_LABELS[other]}" for stage, other in pairs]
        tables.append(
            Table(f"{label}: margins, positive where better, and 95 % intervals over clips", ["", *heads], rows)
        )
    text = (
        "The same held-out clips, first frames, prompts and noise for every stage. docs/comparison.md says what each "
        "number is."
    )
    return Section(heading="All figures", paragraphs=[text], tables=tables, figures=figures)


def draw_worlds(truth: Clip, worlds: Mapping[str, Clip], *, columns: int) -> "Sheet":
    """A sheet of one clip: a row for the truth and for each stage's world, RGB over time, depth and motion of the last.

    `worlds`: by stage. All rows have the colour scales of the truth's depth and motion.
    """
    from matplotlib.figure import Figure

    for clip in (truth, *worlds.values()):
        clip.require("depth", "motion")
    assert truth.depth is not None
    assert truth.motion is not None
    frames = np.linspace(0, truth.frames - 1, columns).round().astype(int)
    scales = depth_range(truth.depth), motion_scale(truth.motion, truth.motion_valid)
    rows = {"truth": truth} | {STAGE_LABELS.get(stage, stage): clip for stage, clip in worlds.items()}
    height, width = truth.size
    size = (_FRAME_WIDTH * (columns + 2) + 1.6, _FRAME_WIDTH * len(rows) * height / width + 1.1)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    prompt = "\n".join(textwrap.wrap(truth.prompt, width=110))
    scale = f"depth from {scales[0][0]:.2g} to {scales[0][1]:.2g} m; full motion colour at {scales[1]:.2g} px a frame"
    figure.suptitle(f"{truth.clip_id}\n{prompt}\n{scale}", fontsize=10)
    axes = figure.subplots(len(rows), columns + 2, squeeze=False)
    titles = [*(f"{frame / truth.fps:.2f} s" for frame in frames), "depth, last", "motion, last"]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for row, (label, clip) in zip(axes, rows.items(), strict=True):
        arrays = clip.arrays()
        pictures = [
            *clip.rgb[frames],
            depth_colors(arrays["depth"][-1], *scales[0]),
            motion_colors(arrays["motion"][-1], scales[1]),
        ]
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel("\n".join(textwrap.wrap(label, 14)), rotation=0, ha="right", va="center", fontsize=10)
    return figure


def _stages(metrics: Mapping[str, Any]) -> list[str]:
    """The stages that there are numbers of."""
    there = {stage for _, _, summary in _rows(metrics) for stage in summary["means"]}
    return [stage for stage in STAGES if stage in there]


def _rows(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Metric, dict[str, Any]]]:
    """(kind, metric, summary) in the order of the metrics."""
    for kind, known in COMPARISON_METRICS.items():
        for name, metric in known.items():
            if name in metrics.get(kind, {}):
                yield kind, metric, metrics[kind][name]


def _pairs(summary: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(stage, earlier stage, margin) where the margin has an interval and can be told in percent."""
    for stage, earlier in summary["margins"].items():
        for other, margin in earlier.items():
            if "low" in margin and summary["means"][other]["mean"] > 0:
                yield stage, other, margin


def _label(metric: Metric) -> str:
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}"


def _value(metric: Metric, summary: Mapping[str, Any], stage: str) -> tuple[str, bool]:
    """A mean as text, and whether it is the best of all stages."""
    means = {name: mean["mean"] for name, mean in summary["means"].items()}
    if stage not in means:
        return "n/a", False
    best = (max if metric.higher_is_better else min)(means.values())
    return format_value(means[stage], summary["means"][stage]["seed_std"]), means[stage] == best


def _bold(text: str, best: bool) -> str:
    return f"<b>{text}</b>" if best else text


def _value_cell(metric: Metric, summary: Mapping[str, Any], stage: str) -> Cell:
    text, best = _value(metric, summary, stage)
    return Cell(text, "strong" if best else "")


def _margin_cell(summary: Mapping[str, Any], stage: str, other: str) -> Cell:
    margin = summary["margins"].get(stage, {}).get(other)
    if margin is None or "low" not in margin:
        return Cell("n/a")
    tone = "ahead" if margin["low"] > 0 else "behind" if margin["high"] < 0 else ""
    return Cell(f"{margin['mean']:+.3g}", tone, f"{margin['low']:+.3g} to {margin['high']:+.3g}")
