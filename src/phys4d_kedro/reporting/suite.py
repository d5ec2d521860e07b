"""The 4D world consistency suite to look at: curves over growing horizons, a stage a colour, with their intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phys4d_kedro.evaluation.comparison import ESTIMATORS, OWN_HEADS, STAGES
from phys4d_kedro.evaluation.suite import EXACT, HORIZON_METRICS, SUITE_METRICS, TRUTH
from phys4d_kedro.reporting.figures import COLORS, GRID, SYMBOLS, style_figure
from phys4d_kedro.reporting.stages import ROW_LABELS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_JUDGES = {OWN_HEADS: "by own heads", ESTIMATORS: "by estimators"}
_BAND = 0.18  # opacity
_PANEL = 330  # pixels


def suite_horizons(metrics: Mapping[str, Any]) -> "Figure":
    """How metrics grow with the horizon: a row a metric, a column a judge, 95 % bands; the truth dashed, in grey."""
    from plotly.subplots import make_subplots

    judges = [judge for judge in _JUDGES if judge in metrics]
    rows = [name for name in HORIZON_METRICS if any(metrics[judge].get(name, {}).get("horizons") for judge in judges)]
    size = max(1, len(rows)), max(1, len(judges))
    titles = [f"{_label(name)}<br>{_JUDGES[judge]}" for name in rows for judge in judges]
    figure = make_subplots(*size, subplot_titles=titles or None, shared_yaxes=True, vertical_spacing=0.12)
    named: set[str] = set()
    for row, name in enumerate(rows, start=1):
        truth = metrics.get(EXACT, {}).get(name, {}).get("horizons", {})
        for column, judge in enumerate(judges, start=1):
            curves = {**truth, **metrics[judge].get(name, {}).get("horizons", {})}
            for stage in (TRUTH, *STAGES):
                if curves.get(stage):
                    _draw(figure, stage, curves[stage], (row, column), shown=stage not in named)
                    named.add(stage)
    style_figure(figure, title="Consistency over growing horizons, 95 % intervals", x="", y="")
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, rangemode="tozero")
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_xaxes(title="seconds", row=size[0])
    figure.update_annotations(font={"size": 12})
    figure.update_layout(height=190 + _PANEL * size[0], margin_t=85)  # room for two lines above each panel
    return figure


def _draw(
    figure: "Figure", stage: str, points: Sequence[Mapping[str, float]], place: tuple[int, int], *, shown: bool
) -> None:
    """A curve and its band; one entry of the legend switches both, in all panels."""
    color = COLORS[-1] if stage == TRUTH else COLORS[STAGES.index(stage) % 6]
    symbol = SYMBOLS[-1] if stage == TRUTH else SYMBOLS[STAGES.index(stage) % 6]
    seconds = [point["seconds"] for point in points]
    bounds = [point["high"] for point in points] + [point["low"] for point in reversed(points)]
    where = {"row": place[0], "col": place[1]}
    figure.add_scatter(
        x=[*seconds, *reversed(seconds)],
        y=bounds,
        fill="toself",
        fillcolor=color,
        opacity=_BAND,
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        legendgroup=stage,
        showlegend=False,
        **where,
    )
    figure.add_scatter(
        x=seconds,
        y=[point["mean"] for point in points],
        mode="lines+markers",
        line={"color": color, "width": 2, "dash": "dash" if stage == TRUTH else "solid"},
        marker={"symbol": symbol, "size": 8},
        name="the truth itself" if stage == TRUTH else ROW_LABELS[stage],
        hovertext=[f"{p['mean']:.4g} ({p['low']:.4g} to {p['high']:.4g})" for p in points],
        legendgroup=stage,
        showlegend=shown,
        **where,
    )


def _label(name: str) -> str:
    metric = SUITE_METRICS[name]
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.higher_is_better else '↓'}"
