"""A study as one page: its trials, and figures of Optuna, drawn by Plotly; the page needs no network."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path

import optuna.visualization as draw
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from plotly.graph_objects import Figure

from phys4d_kedro.sweeps.studies import ERROR, counted

TRIALS_OF_IMPORTANCES = 10
"""Importances of parameters are shown once so many trials are complete: of fewer they say nothing."""

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "ended early",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; font-size: 0.85rem; display: block; overflow-x: auto; }}
th, td {{ padding: 0.25rem 0.75rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }}
td.error {{ text-align: left; white-space: normal; min-width: 20rem; }}
tr.best {{ background: #e8f4e8; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{figures}
<h2>Trials</h2>
<p>The best are green. A trial that was lost and made again appears twice.</p>
{table}
</body>
</html>
"""


def summary(study: Study) -> str:
    """How many trials there are of each state."""
    trials = counted(study)
    counts = {name: sum(trial.state == state for trial in trials) for state, name in _STATES.items()}
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(trials)} trials: {parts}" if trials else "no trials yet"


def write_report(study: Study, objectives: Sequence[str], file: Path) -> None:
    """Write the page: history, parallel coordinates and importances of each objective, the Pareto front of several."""
    parts: list[str] = []
    for heading, figure in _figures(study, objectives):
        script = not parts  # Plotly itself, once
        figure.update_layout(title=None, margin={"t": 40})
        parts.append(f"<h2>{escape(heading)}</h2>\n{figure.to_html(full_html=False, include_plotlyjs=script)}")
    page = _PAGE.format(
        title=f"Study {escape(study.study_name)}",
        summary=escape(summary(study)),
        figures="\n".join(parts) or "<p>No trial is complete yet.</p>",
        table=_table(study, objectives),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")


def _figures(study: Study, objectives: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if not complete:
        return
    if len(objectives) in (2, 3):
        yield "Pareto front", draw.plot_pareto_front(study, target_names=list(objectives))
    for index, name in enumerate(objectives):
        value = partial(_objective, index=index, sign=1)
        target = value if len(objectives) > 1 else None  # Optuna marks the best itself where there is one objective
        yield f"{name}: history", draw.plot_optimization_history(study, target=target, target_name=name)
        yield f"{name}: parameters", draw.plot_parallel_coordinate(study, target=target, target_name=name)
        if len(complete) >= TRIALS_OF_IMPORTANCES:
            sign = 1 if study.directions[index] == StudyDirection.MINIMIZE else -1
            yield f"{name}: importances", _importances(study, partial(_objective, index=index, sign=sign), name)
    if any(trial.intermediate_values for trial in study.get_trials(deepcopy=False)):
        yield "Validations during training", draw.plot_intermediate_values(study)


def _importances(study: Study, smaller_is_better: Callable[[FrozenTrial], float], name: str) -> Figure:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*to achieve low `target` values", UserWarning)
        evaluator = PedAnovaImportanceEvaluator()
        return draw.plot_param_importances(study, evaluator=evaluator, target=smaller_is_better, target_name=name)


def _objective(trial: FrozenTrial, *, index: int, sign: int) -> float:
    return sign * float(trial.values[index])


def _table(study: Study, objectives: Sequence[str]) -> str:
    trials = study.get_trials(deepcopy=False)
    best = {trial.number for trial in study.best_trials}
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    errors = ["error"] if any(ERROR in trial.user_attrs for trial in trials) else []
    rows = ["".join(f"<th>{escape(name)}</th>" for name in ("trial", "state", *objectives, *names, *errors))]
    marks = [""]
    for trial in trials:
        figures = trial.values if trial.values and len(trial.values) == len(objectives) else [None] * len(objectives)
        cells = [trial.number, _STATES[trial.state], *figures, *(trial.params.get(name) for name in names)]
        shown = "".join(f"<td>{escape(_text(cell))}</td>" for cell in cells)
        rows.append(shown + "".join(f'<td class="{e}">{escape(trial.user_attrs.get(ERROR, ""))}</td>' for e in errors))
        marks.append(' class="best"' if trial.number in best else "")
    return "<table>\n" + "\n".join(f"<tr{m}>{row}</tr>" for m, row in zip(marks, rows, strict=True)) + "\n</table>"


def _text(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
