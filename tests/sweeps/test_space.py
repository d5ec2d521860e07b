"""What trials take: within the space, where conditions hold, each combination once, the same from the same seed."""

from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from phys4d_kedro.sweeps.config import SweepConfig
from phys4d_kedro.sweeps.space import Values, dotted, extremes, grid, with_values
from phys4d_kedro.sweeps.studies import begin, best_trial, end, give_up
from tests.sweeps.cheap import DISTANCE, HEIGHT, X, study_of, sweep

CONDITIONAL = {
    "advantage": {"kind": "categorical", "choices": ["group", "value"]},
    "width": {"kind": "int", "low": 2, "high": 6, "step": 2, "when": {"advantage": ["value"]}},
    "depth": {"kind": "categorical", "choices": [True, None], "when": {"width": [4, 6]}},
}


def draw(config: SweepConfig, folder: Path, count: int) -> list[Values]:
    """Values of `count` trials, which are as high as they are far from 3."""
    study = study_of(config, folder)
    drawn = []
    for _ in range(count):
        trial = study.ask()
        drawn.append(begin(study, config, trial))
        end(study, trial, TrialState.COMPLETE, values=[abs(float(drawn[-1].get("x", 0)) - 3)])  # type: ignore[arg-type]
    return drawn


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_conditions_decide_what_is_searched(tmp_path: Path, kind: str) -> None:
    config = sweep(CONDITIONAL, sampler={"kind": kind, "startup_trials": 5})
    drawn = draw(config, tmp_path, 30)
    for values in drawn:
        assert ("width" in values) == (values["advantage"] == "value")
        assert ("depth" in values) == (values.get("width") in (4, 6))
    assert {values.get("width") for values in drawn} == {None, 2, 4, 6}


def test_a_grid_is_drawn_combination_by_combination(tmp_path: Path) -> None:
    config = sweep(CONDITIONAL, sampler={"kind": "grid"})
    expected = [
        {"advantage": "group"},
        {"advantage": "value", "width": 2},
        *({"advantage": "value", "width": width, "depth": depth} for width in (4, 6) for depth in (True, None)),
    ]
    assert grid(config.parameters) == expected
    assert draw(config, tmp_path, 6) == expected


def test_a_combination_that_was_lost_before_it_was_drawn_is_not_skipped(tmp_path: Path) -> None:
    config = sweep(CONDITIONAL, sampler={"kind": "grid"})
    study = study_of(config, tmp_path)
    begun = [study.ask(), study.ask(), study.ask()]
    assert give_up(study, begun[1], "killed", retries=None)
    drawn = [begin(study, config, trial) for trial in (begun[0], begun[2], study.ask(), study.ask())]
    expected = grid(config.parameters)
    assert drawn == [expected[0], expected[2], expected[1], expected[3]]


def test_steps_of_a_grid_include_both_ends() -> None:
    config = sweep({"x": {**X, "high": 0.3, "step": 0.1}}, sampler={"kind": "grid"})
    assert [values["x"] for values in grid(config.parameters)] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_processes_that_share_a_study_draw_different_values(tmp_path: Path) -> None:
    """Both open the study before either has begun a trial."""
    config = sweep({"x": X}, sampler={"kind": "random"})
    first, second = study_of(config, tmp_path), study_of(config, tmp_path)
    drawn = [begin(study, config, study.ask())["x"] for study in (first, second, first, second)]
    assert len(set(drawn)) == 4


def test_the_seed_decides_the_values_also_of_a_study_gone_on_with(tmp_path: Path) -> None:
    for name in ("whole", "cut", "other"):
        (tmp_path / name).mkdir()
    config = sweep({"x": X, "y": X}, sampler={"startup_trials": 4, "seed": 1})
    whole = draw(config, tmp_path / "whole", 12)
    assert draw(config, tmp_path / "cut", 5) + draw(config, tmp_path / "cut", 7) == whole
    other = sweep({"x": X, "y": X}, sampler={"startup_trials": 4, "seed": 2})
    assert draw(other, tmp_path / "other", 12) != whole


def test_tpe_learns_where_the_best_is(tmp_path: Path) -> None:
    (tmp_path / "random").mkdir()
    learnt = draw(sweep({"x": X}, sampler={"startup_trials": 8}), tmp_path, 40)[20:]
    drawn = draw(sweep({"x": X}, sampler={"kind": "random"}), tmp_path / "random", 40)[20:]
    near, by_chance = (sum(abs(float(values["x"]) - 3) < 1 for values in one) for one in (learnt, drawn))  # type: ignore[arg-type]
    assert near > 2 * by_chance


def test_the_best_of_several_objectives_is_good_in_all(tmp_path: Path) -> None:
    """Of equal rank sums it is the first; a trial that is best in one and worst in the other is not it."""
    config = sweep({"x": X}, DISTANCE, HEIGHT)
    study = study_of(config, tmp_path)
    assert best_trial(study) is None
    for values in ([0.0, 0.0], [1.0, 8.0], [2.0, 9.0], [9.0, 10.0], [9.5, 1.0]):
        trial = study.ask()
        begin(study, config, trial)
        end(study, trial, TrialState.COMPLETE, values=values)
    assert [trial.number for trial in study.best_trials] == [0, 1, 2, 3]
    best = best_trial(study)
    assert best is not None
    assert best.number == 1


def test_every_bound_and_choice_is_an_extreme_under_its_conditions() -> None:
    config = sweep(CONDITIONAL)
    found = list(extremes(config.parameters))
    assert Counter(name for name, _ in found) == {"advantage": 2, "width": 2, "depth": 2}
    assert ("depth", {"advantage": "value", "width": 4, "depth": None}) in found


def test_dotted_names_reach_inside() -> None:
    tree = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    assert dotted(tree) == {"a.b": 1, "a.c": [1, 2], "d": "x"}
    assert with_values({}, dotted(tree)) == tree
    assert with_values(tree, {"a.b": 5, "d.e": 1}) == {"a": {"b": 5, "c": [1, 2]}, "d": {"e": 1}}
    assert tree["d"] == "x"
