"""What the page begins with: every stage in SimIQ and in the 4D suite, how far each is ahead, and how sure that is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from phys4d_kedro.evaluation.comparison import COMPARISON_METRICS, ESTIMATORS, OWN_HEADS, PERCEPTION, STAGES
from phys4d_kedro.evaluation.statistics import Metric
from phys4d_kedro.evaluation.suite import SUITE_METRICS
from phys4d_kedro.reporting.paper import paper_table
from phys4d_kedro.reporting.report import Cell, Section, Table
from phys4d_kedro.reporting.stages import ROW_LABELS
from phys4d_kedro.reporting.tables import format_value

_BACKBONE, _CONTROL = STAGES[:2]
_SIMIQ, _READING, _SUITE = "SimIQ", "reading true videos", "worlds, 4D suite"
# The paper's columns, by the original rules, and the score of the Verified ones.
_SIMIQ_COLUMNS = {
    ("original", "mse"): Metric("MSE", "1e-3"),
    ("original", "spatiotemporal_iou"): Metric("ST-IoU", higher_is_better=True),
    ("original", "spatial_iou"): Metric("S-IoU", higher_is_better=True),
    ("original", "weighted_spatial_iou"): Metric("WS-IoU", higher_is_better=True),
    ("original", "score"): Metric("score", "%", higher_is_better=True),
    ("verified", "score"): Metric("Verified score", "%", higher_is_better=True),
}
_SCALES = {"mse": 1000.0}
_READING_COLUMNS = ("abs_rel_objects", "epe_objects", "chamfer_4d_objects")
_SUITE_COLUMNS = (
    (OWN_HEADS, "depth_abs_rel", "by heads"),
    (OWN_HEADS, "warp_residual", "by heads"),
    (OWN_HEADS, "chamfer_4d", "by heads"),
    (ESTIMATORS, "chamfer_4d", "by estimators"),
)


@dataclass(frozen=True)
class Column:
    """A figure of the table. `means[stage]`: `mean`, `seed_std`. `margins[stage][earlier]`: `mean`, `low`, `high`, or
    none where it has no interval.
    """

    group: str
    metric: Metric
    means: Mapping[str, Mapping[str, Any]]
    margins: Mapping[str, Mapping[str, Mapping[str, float]]]

    @property
    def label(self) -> str:
        """The metric, its unit, and which way is better."""
        unit = f" ({self.metric.unit})" if self.metric.unit else ""
        return f"{self.metric.label}{unit} {'↑' if self.metric.higher_is_better else '↓'}"

    def margin(self, stage: str, earlier: str) -> Mapping[str, float] | None:
        """How far a stage is ahead of an earlier one, positive where better; None where that has no interval."""
        return self.margins.get(stage, {}).get(earlier)


def result_columns(
    simiq: Mapping[str, Any], suite: Mapping[str, Any], comparison: Mapping[str, Any] = MappingProxyType({})
) -> list[Column]:
    """The figures of SimIQ, and the main ones of the comparison and the suite, as far as their metrics have them."""
    columns = []
    for (rule, key), metric in _SIMIQ_COLUMNS.items():
        scale = _SCALES.get(key, 1.0)
        scores = {stage: simiq["scores"][stage][rule][key] for stage in STAGES if stage in simiq["scores"]}
        known = {
            stage: {o: _scaled(rules[rule][key], scale) for o, rules in earlier.items() if rules[rule][key]}
            for stage, earlier in simiq["margins"].items()
        }
        means = {stage: _scaled(mean, scale) for stage, mean in scores.items() if mean}
        columns.append(Column(_SIMIQ, metric, means, known))
    for name in _READING_COLUMNS:
        if found := comparison.get(PERCEPTION, {}).get(name):
            columns.append(Column(_READING, COMPARISON_METRICS[PERCEPTION][name], found["means"], found["margins"]))
    for judge, name, words in _SUITE_COLUMNS:
        found, metric = suite.get(judge, {}).get(name), SUITE_METRICS[name]
        if found:
            means = {stage: mean for stage, mean in found["means"].items() if stage in STAGES}
            labelled = Metric(f"{metric.label}, {words}", metric.unit, metric.higher_is_better)
            columns.append(Column(_SUITE, labelled, means, found["margins"]))
    return columns


def result_table(columns: Sequence[Column], caption: str) -> Table:
    """A row a stage, a column a figure: its mean, and below it the margin over the video model."""
    rows = [[Cell(ROW_LABELS[stage]), *(_value(column, stage) for column in columns)] for stage in _there(columns)]
    return Table(caption, ["", *(column.label for column in columns)], rows, _groups(columns), turns=True)


def margin_table(columns: Sequence[Column]) -> Table:
    """How far stages with physics are ahead of the appearance-only control, and stage 3 of the stages before it."""
    columns = [column for column in columns if column.margins]
    rows = [
        [
            Cell(f"{ROW_LABELS[stage]}, over {ROW_LABELS[other].removeprefix('+ ')}"),
            *(_margin(column.margin(stage, other)) for column in columns),
        ]
        for stage, other in (("sft", _CONTROL), ("rl", _CONTROL), ("rl", "sft"))
        if any(column.margin(stage, other) for column in columns)
    ]
    caption = "Margins over what saw the same clips without their physics, positive where better, and 95 % intervals"
    return Table(caption, ["", *(column.label for column in columns)], rows, _groups(columns), turns=True)


def result_section(columns: Sequence[Column], simiq: Mapping[str, Any]) -> Section:
    """Tables of the stages in SimIQ and in 4D, what the physics adds to each, and the paper's own beside them."""
    caption = (
        f"SimIQ {simiq['version']}: {simiq['scenarios']} simulated scenarios, {simiq['views']} videos of "
        f"{simiq['size'][0]}x{simiq['size'][1]} pixels, {simiq['frames']} frames. Means, ± the spread between "
        "trainings, the best of a column bold; below them the margin over the video model, positive where better, with "
        "its 95 % interval: ▲ surely ahead, ▼ surely behind. One such interval in twenty misses by "
        "chance, and of so few scenarios somewhat more."
    )
    in_4d = "The 4D of the stages: what they read off true videos, and the worlds that they generate; marked as above."
    halves = [[c for c in columns if c.group == _SIMIQ], [c for c in columns if c.group != _SIMIQ]]
    tables = [result_table(half, text) for half, text in zip(halves, (caption, in_4d), strict=True)]
    tables += [*(margin_table(half) for half in halves), paper_table()]
    return Section(heading="Result", tables=[table for table in tables if table.rows])


def write_verdict(columns: Sequence[Column]) -> list[str]:
    """What improved, by how much and how sure, in plain sentences: over the video model, then over the control."""
    there = _there(columns)
    last = next((stage for stage in ("rl", "sft") if stage in there), None)
    if last is None or _BACKBONE not in there:
        return ["No stage with physics was compared with the video model."]
    name = "All three stages together" if last == "rl" else "Stages 1 and 2 together"
    sentences = [_counts(name, columns, last, _BACKBONE, "the video model alone"), _amounts(columns, last, _BACKBONE)]
    if _CONTROL in there:
        over = _counts("They", columns, last, _CONTROL, "an adapter that saw the same clips without their physics")
        sentences.append(f"{over} {_amounts(columns, last, _CONTROL)}")
    if any(column.means[last]["seed_std"] is None for column in columns if last in column.means):
        sentences.append(
            "With one training of a stage, the intervals say how much hangs on the choice of clips, and nothing of how "
            "another training would turn out."
        )
    return [sentence for sentence in sentences if sentence]


def _counts(name: str, columns: Sequence[Column], stage: str, other: str, words: str) -> str:
    """In how many figures a stage is surely better, surely worse, or neither."""
    judged = [margin for column in columns if (margin := column.margin(stage, other))]
    better, worse = sum(m["low"] > 0 for m in judged), sum(m["high"] < 0 for m in judged)
    if not judged:
        return f"{name} have no figure in common with {words} that has an interval."
    return (
        f"{name} are surely better than {words} in {better or 'none'} of {len(judged)} figures, surely worse in "
        f"{worse or 'none'}; {len(judged) - better - worse or 'none'} could go either way."
    )


def _amounts(columns: Sequence[Column], stage: str, other: str) -> str:
    """By how much a stage is better or worse where that is sure; where it nowhere is, where it is nearest to it."""
    judged = [(column, margin) for column in columns if (margin := column.margin(stage, other))]
    sure = [_amount(column, other, margin) for column, margin in judged if margin["low"] > 0 or margin["high"] < 0]
    if judged and not sure:
        return f"Nearest to sure: {_amount(*_clearest(judged, other))}."
    return f"{'; '.join(sure)}." if sure else ""


def _clearest(
    judged: Sequence[tuple[Column, Mapping[str, float]]], other: str
) -> tuple[Column, str, Mapping[str, float]]:
    """The margin that is largest beside its interval's width."""
    column, margin = max(judged, key=lambda pair: abs(pair[1]["mean"]) / max(pair[1]["high"] - pair[1]["low"], 1e-12))
    return column, other, margin


def _amount(column: Column, other: str, margin: Mapping[str, float]) -> str:
    """A margin in percent of the earlier mean, with its interval; in the metric's unit where that mean is 0."""
    base = column.means[other]["mean"]
    scale, unit, digits = (100 / base, " %", ".0f") if base > 0 else (1.0, f" {column.metric.unit}".rstrip(), ".2g")
    sign = -1 if margin["mean"] < 0 else 1
    ends = sorted(sign * margin[key] * scale for key in ("low", "high"))
    mean, low, high = (format(value, digits) for value in (sign * margin["mean"] * scale, *ends))
    group = f"{_SIMIQ} " if column.group == _SIMIQ else ""
    return f"{group}{column.metric.label} {mean}{unit} {'worse' if sign < 0 else 'better'} ({low} to {high})"


def _scaled(values: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Figures in another unit; what is no number stays."""
    return {key: value * scale if isinstance(value, float) else value for key, value in values.items()}


def _there(columns: Sequence[Column]) -> list[str]:
    return [stage for stage in STAGES if any(stage in column.means for column in columns)]


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    groups = (_SIMIQ, _READING, _SUITE)
    counts = {group: sum(column.group == group for column in columns) for group in groups}
    return [("", 1), *((group, count) for group, count in counts.items() if count)]


def _value(column: Column, stage: str) -> Cell:
    """The mean, bold where it is the best of all, with the margin over the video model below."""
    mean = column.means.get(stage)
    if mean is None:
        return Cell("n/a")
    best: Callable[[Iterator[float]], float] = max if column.metric.higher_is_better else min
    tone = ["strong"] if mean["mean"] == best(own["mean"] for own in column.means.values()) else []
    margin, detail = column.margin(stage, _BACKBONE), ""
    if margin:
        tone += _tone(margin)
        detail = f"{margin['mean']:+.2g}\n{margin['low']:+.2g} to {margin['high']:+.2g}"
    return Cell(format_value(mean["mean"], mean["seed_std"]), " ".join(tone), detail)


def _margin(margin: Mapping[str, float] | None) -> Cell:
    if margin is None:
        return Cell("n/a")
    return Cell(f"{margin['mean']:+.2g}", " ".join(_tone(margin)), f"{margin['low']:+.2g} to {margin['high']:+.2g}")


def _tone(margin: Mapping[str, float]) -> list[str]:
    return ["ahead"] if margin["low"] > 0 else ["behind"] if margin["high"] < 0 else []
