"""The page of a study: figures of what there is, all trials, their errors; it needs no network."""

import re
from pathlib import Path

import pytest
from optuna.trial import TrialState

from phys4d_kedro.sweeps.report import TRIALS_OF_IMPORTANCES, summary, write_report
from phys4d_kedro.sweeps.studies import begin, end, fail
from tests.sweeps.cheap import DISTANCE, HEIGHT, X, study_of, sweep

CHOICE = {"kind": "categorical", "choices": ["a", "b"]}


def page_of(folder: Path, complete: int, *objectives: dict[str, str]) -> tuple[str, str]:
    """The page of a study with so many complete trials, one that failed and one that was pruned, and its summary."""
    config = sweep({"x": X, "noise": X, "kind": CHOICE, "only a": {**X, "when": {"kind": ["a"]}}}, *objectives)
    study = study_of(config, folder)
    for _ in range(complete):
        trial = study.ask()
        x = float(begin(study, config, trial)["x"])  # type: ignore[arg-type]
        end(study, trial, TrialState.COMPLETE, values=[(x - 3) ** 2, x][: len(objectives)])
    failed = study.ask()
    begin(study, config, failed)
    fail(study, failed, "ValueError: <b>bold</b>")
    if len(objectives) == 1:
        pruned = study.ask()
        pruned.report(3.5, 0)
        end(study, pruned, TrialState.PRUNED)
    write_report(study, [objective["name"] for objective in objectives], folder / "page.html")
    return (folder / "page.html").read_text(), summary(study)


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_two_objectives_have_a_front_and_figures_each(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, TRIALS_OF_IMPORTANCES, DISTANCE, HEIGHT)
    each = [f"{name}: {kind}" for name in ("distance", "height") for kind in ("history", "parameters", "importances")]
    assert headings(page) == ["Pareto front", *each, "Trials"]
    assert len(re.findall(r"Plotly\.newPlot\(", page.split("plotly-graph-div", 1)[1])) == len(each) + 1
    assert text == f"{TRIALS_OF_IMPORTANCES + 1} trials: {TRIALS_OF_IMPORTANCES} complete, 1 failed"
    assert text in page
    assert "ValueError: &lt;b&gt;bold&lt;/b&gt;" in page
    assert len(re.findall("<tr", page)) == TRIALS_OF_IMPORTANCES + 2
    assert not re.search(r"<(script|link)[^>]+(src|href)=", page)
    assert page.count('<tr class="best"') >= 2


def test_one_objective_has_validations_and_one_best(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, 3, DISTANCE)
    assert headings(page) == ["distance: history", "distance: parameters", "Validations during training", "Trials"]
    assert text == "5 trials: 3 complete, 1 failed, 1 ended early"
    assert page.count('<tr class="best"') == 1


def test_importance_is_for_what_is_better(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """`height` is x itself: nothing else can matter much, whichever way is better."""
    page, _ = page_of(tmp_path, 40, HEIGHT)
    bars = re.search(r'"text":\[([^\]]*)\],"textposition":"outside".*?"y":\[([^\]]*)\]', page)
    assert bars is not None
    assert bars[2].split(",")[-1] == '"x"'
    assert not [warning for warning in recwarn if "to achieve low" in str(warning.message)]


def test_a_study_without_results_has_a_page(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, 0, DISTANCE)
    assert "No trial is complete yet." in page
    assert "Plotly" not in page
    assert text == "2 trials: 1 failed, 1 ended early"
