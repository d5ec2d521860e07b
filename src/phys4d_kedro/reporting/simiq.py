"""SimIQ to look at: the Verified score of every stage, of all scenarios and by category."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.simiq import STILL
from phys4d_kedro.reporting.figures import COLORS, style_figure
from phys4d_kedro.reporting.stages import ROW_LABELS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_RULE = "verified"
_LABELS = {STILL: "first frame standing still", **ROW_LABELS}


def simiq_scores(metrics: Mapping[str, Any]) -> "Figure":
    """A group of bars for all scenarios and for each category, a bar a method; whiskers are the spread of trainings."""
    import plotly.graph_objects as go

    groups = {"all": {name: rules[_RULE]["score"] for name, rules in metrics["scores"].items()}}
    groups |= {
        category.replace("_", " "): {name: rules[_RULE] for name, rules in methods.items()}
        for category, methods in metrics["categories"].items()
    }
    figure = go.Figure()
    for method in metrics["scores"]:
        found = [own[method] for own in groups.values()]
        figure.add_bar(
            x=list(groups),
            y=[score["mean"] for score in found],
            error_y={"array": [score["seed_std"] or 0 for score in found], "thickness": 1.5},
            name=_LABELS[method],
            marker_color=COLORS[-1] if method == STILL else COLORS[STAGES.index(method) % 6],
        )
    title = f"SimIQ {metrics['version']}, Verified score (100: as close as a second take)"
    style_figure(figure, title=title, x="", y="score, higher is better")
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(barmode="group")
    return figure
