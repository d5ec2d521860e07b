"""Plotly figures of the report: each is a function of data frames, summaries or arrays alone.

Colours are Okabe and Ito's, told apart with any kind of colour vision; backgrounds are transparent, so that the page
(light or dark) or Kedro-Viz gives them. A predictor has the same colour everywhere: that of its place in `order`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.statistics import METRICS
from phys4d_kedro.reporting.stages import STAGE_LABELS
from phys4d_kedro.reporting.tables import REGIONS, by_scene, predictor_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x", "star")
GRID = "rgba(128, 128, 128, 0.25)"
_MOST_POINTS = 400
VALIDATION_LOSSES = {
    "denoising_loss": "denoising",
    "depth_loss": "depth",
    "motion_loss": "motion",
    "warp_loss": "warp consistency",
}
"""Parts of the loss of stage 2, which its control is validated by too."""


def compare_predictors(metrics: Mapping[str, Any], metric: str, order: Sequence[str]) -> "Figure":
    """One metric of every predictor, over the image and on moving objects; bars are the spread over seeds."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for index, (region, label) in enumerate(REGIONS.items()):
        means = metrics[metric].get(region, {"means": {}})["means"]
        names = [name for name in order if name in means]
        figure.add_scatter(
            x=[means[name]["mean"] for name in names],
            y=[_wrap(predictor_label(name)) for name in names],
            error_x={"array": [means[name]["seed_std"] or 0 for name in names], "thickness": 1.5},
            mode="markers",
            marker={"size": 11, "color": COLORS[index], "symbol": SYMBOLS[index]},
            name=label,
        )
    style_figure(figure, title=METRICS[metric].label, x=_axis(metric), y="")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(rangemode="tozero")
    return figure


def compare_scenes(table: pd.DataFrame, metric: str, region: str, order: Sequence[str]) -> "Figure":
    """One metric by scene, a mark a predictor."""
    import plotly.graph_objects as go

    scenes = by_scene(table, metric, region)
    figure = go.Figure()
    for index, predictor in enumerate(order):
        if predictor in scenes:
            figure.add_scatter(
                x=scenes[predictor].tolist(),
                y=scenes.index.tolist(),
                mode="markers",
                marker={"size": 10, "color": COLORS[index % 7], "symbol": SYMBOLS[index % 7]},
                name=predictor_label(predictor),
            )
    style_figure(figure, title=f"{METRICS[metric].label}, {REGIONS[region]}", x=_axis(metric), y="")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(rangemode="tozero")
    figure.update_layout(height=240 + 24 * len(scenes))
    return figure


def loss_curves(histories: Sequence[pd.DataFrame]) -> "Figure":
    """Training loss of every stage and seed over steps (columns stage, seed, step, loss)."""
    import plotly.graph_objects as go

    figure = go.Figure()
    curves = [
        (stage, seed, rows) for history in histories for (stage, seed), rows in history.groupby(["stage", "seed"])
    ]
    stages = list(dict.fromkeys(stage for stage, _, _ in curves))
    for stage, seed, rows in curves:
        thinned = rows.sort_values("step").iloc[:: max(1, len(rows) // _MOST_POINTS)]
        figure.add_scatter(
            x=thinned["step"].tolist(),
            y=thinned["loss"].tolist(),
            mode="lines",
            name=f"{stage}, seed {seed}",
            line={"color": COLORS[stages.index(stage) % 7], "width": 1.5},
        )
    style_figure(figure, title="Training loss", x="step", y="loss")
    figure.update_yaxes(type="log")
    return figure


def validation_curves(validations: Sequence[pd.DataFrame]) -> "Figure":
    """Losses of validation clips by stage and seed (columns stage, seed, step and those of VALIDATION_LOSSES)."""
    from plotly.subplots import make_subplots

    figure = make_subplots(len(VALIDATION_LOSSES), 1, subplot_titles=list(VALIDATION_LOSSES.values()))
    curves = [
        (str(stage), seed, rows) for table in validations for (stage, seed), rows in table.groupby(["stage", "seed"])
    ]
    for panel, column in enumerate(VALIDATION_LOSSES, start=1):
        for stage, seed, rows in curves:
            number = STAGES.index(stage)
            figure.add_scatter(
                x=rows["step"].tolist(),
                y=rows[column].tolist(),
                mode="lines+markers",
                name=f"{STAGE_LABELS[stage]}, seed {seed}",
                legendgroup=f"{stage} {seed}",
                showlegend=panel == 1,
                line={"color": COLORS[number], "width": 1.5},
                marker={"symbol": SYMBOLS[number], "size": 7},
                row=panel,
                col=1,
            )
    style_figure(figure, title="Losses of validation clips", x="", y="")
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_xaxes(title="step", row=len(VALIDATION_LOSSES))
    figure.update_annotations(font={"size": 12})
    figure.update_layout(height=170 * len(VALIDATION_LOSSES) + 150, margin_t=70)
    return figure


def reward_curves(validations: pd.DataFrame) -> "Figure":
    """Rewards of validation worlds while policies are trained (columns seed, step, reward, independent).

    `reward` was optimised, by one judge; `independent` is the same by the other. Where they part, it was hacked.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    judges = (("reward", "the judge that is optimised", "solid"), ("independent", "the independent judge", "dash"))
    for number, (seed, rows) in enumerate(validations.groupby("seed")):
        for column, label, dash in judges:
            figure.add_scatter(
                x=rows["step"].tolist(),
                y=rows[column].tolist(),
                mode="lines+markers",
                name=f"{label}, seed {seed}",
                line={"color": COLORS[number % 7], "dash": dash, "width": 1.5},
            )
    style_figure(figure, title="Rewards of validation worlds, stage 3", x="step", y="reward")
    return figure


def clips_per_scene(manifests: Mapping[str, pd.DataFrame]) -> "Figure":
    """How many clips each set holds of each scene."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for color, (name, manifest) in zip(COLORS, manifests.items(), strict=False):
        counts = manifest["scene"].replace("", "(no scene)").value_counts().sort_index()
        figure.add_bar(y=counts.index.tolist(), x=counts.tolist(), orientation="h", name=name, marker_color=color)
    style_figure(figure, title="Clips per scene", x="clips", y="")
    scenes = {scene for manifest in manifests.values() for scene in manifest["scene"]}
    figure.update_layout(barmode="stack", height=260 + 24 * len(scenes))
    figure.update_yaxes(autorange="reversed")
    return figure


def depth_distribution(samples: Mapping[str, NDArray[np.float32]], bins: int = 60) -> "Figure":
    """Share of pixels by depth, on a logarithmic axis; `samples` are finite depths in metres of each set."""
    import plotly.graph_objects as go

    figure = go.Figure()
    present = {name: values for name, values in samples.items() if values.size}
    if present:
        low = min(float(values.min()) for values in present.values())
        high = max(float(values.max()) for values in present.values())
        edges = np.geomspace(low * 0.999, high * 1.001, bins + 1)
        for color, (name, values) in zip(COLORS, present.items(), strict=False):
            counts, _ = np.histogram(values, edges)
            figure.add_scatter(
                x=np.sqrt(edges[1:] * edges[:-1]).tolist(),
                y=(100 * counts / values.size).tolist(),
                mode="lines",
                line={"shape": "hvh", "color": color},
                name=name,
            )
    style_figure(figure, title="Depth of pixels", x="metres", y="% of pixels")
    figure.update_xaxes(type="log")
    return figure


def _axis(metric: str) -> str:
    info = METRICS[metric]
    return f"{info.unit + ', ' if info.unit else ''}{'higher' if info.higher_is_better else 'lower'} is better"


def _wrap(label: str) -> str:
    return "<br>".join(textwrap.wrap(label, 22))


def style_figure(figure: "Figure", **titles: str) -> None:
    """Give a figure the look of them all; `titles`: of the figure (`title`), and of its axes (`x`, `y`)."""
    axis: dict[str, Any] = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}
    figure.update_layout(
        template="none",
        title={"text": titles["title"], "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        xaxis={**axis, "title": {"text": titles["x"]}},
        yaxis={**axis, "title": {"text": titles["y"]}},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        margin={"l": 55, "r": 15, "t": 45, "b": 90},
        height=400,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
    )
