"""Trials end early: asked by files, out of the training loop, and recorded as what they are."""

import json
import sys
import threading
from pathlib import Path

import pytest

from phys4d_kedro.sweeps.space import Values
from phys4d_kedro.sweeps.studies import ERROR
from phys4d_kedro.sweeps.supervisor import Supervisor
from phys4d_kedro.training import trial_files
from tests.sweeps.cheap import X, prepare, states, study_of, supervisor, sweep, unfinished

PRUNER = {"watch": "loss", "startup_trials": 1, "warmup_validations": 1}
TRAINED = {"mode": {"kind": "categorical", "choices": ["trained"]}}


def train(folder: str, rate: float) -> None:
    """`fit` of a weight that moves by `rate` a step, to a goal that is a tenth away after ten steps of 0.01."""
    from phys4d_kedro.training.config import LoopConfig
    from tests.training.tasks import Slide, run

    config = LoopConfig(
        steps=10,
        batch_size=2,
        micro_batch_size=1,
        learning_rate=rate,
        decay_share=0,
        validate_every=2,
        trackers=(),
        log_every=5,
        seed=0,
    )
    result = run(Slide(goal=0.1), Path(folder) / "training", config)
    figures = {"score": {"distance": float(result.validations["validation_loss"].iloc[-1])}}
    Path(folder, "metrics.json").write_text(json.dumps(figures))


def prepare_training(folder: Path, values: Values) -> tuple[list[str], dict[str, str]]:
    """A trial of `train`."""
    _, variables = prepare(folder, values)
    return ["tests.sweeps.test_pruning", str(folder), str(values["rate"])], variables


def test_a_training_is_ended_by_its_validations(tmp_path: Path) -> None:
    """The second has gone past the goal by its first validation."""
    config = sweep(
        {"rate": {"kind": "categorical", "choices": [0.01, 0.2]}},
        sampler={"kind": "grid"},
        pruner={**PRUNER, "watch": "validation_loss"},
    )
    study = study_of(config, tmp_path)
    Supervisor(study, config, tmp_path / "trials", prepare_training).run(trials=2, jobs=1)
    good, bad = study.trials
    assert [trial.state.name for trial in (good, bad)] == ["COMPLETE", "PRUNED"], bad.user_attrs
    assert list(good.intermediate_values.values()) == pytest.approx([(0.1 - 0.02 * n) ** 2 for n in range(6)], abs=1e-6)
    assert list(bad.intermediate_values) == [0, 1], "the one before the first step ends no trial"
    assert bad.intermediate_values[1] == pytest.approx(0.09, rel=1e-3)
    assert not (tmp_path / "trials" / "trial_0001" / "metrics.json").exists()
    assert unfinished(study) == []


@pytest.mark.slow
def test_all_processes_of_a_training_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one of them asks, and the error is the same as from one process."""
    from phys4d_kedro.training.launch import Job, launch
    from phys4d_kedro.training.launch_config import LaunchConfig

    folder, ended = tmp_path / "validations", threading.Event()
    monkeypatch.setenv(trial_files.FOLDER_VARIABLE, str(folder))

    def answer() -> None:
        while not ended.wait(0.05):
            for number, _ in trial_files.unanswered(folder):
                trial_files.answer(folder, number, worth_it=number < 2)

    thread = threading.Thread(target=answer)
    thread.start()
    job = Job("tests.sweeps.test_pruning:train", {"folder": str(tmp_path), "rate": 0.01})
    try:
        with pytest.raises(trial_files.TrialPrunedError, match="test: ended by its sweep after step 4"):
            launch(job, LaunchConfig(processes=2))
    finally:
        ended.set()
        thread.join()
    assert len(list(folder.glob("*.json"))) == 3


def test_an_error_after_the_request_to_stop_is_an_error(tmp_path: Path) -> None:
    config = sweep(
        {"x": {**X, "high": 8, "step": 4}, **TRAINED}, sampler={"kind": "grid"}, pruner=PRUNER
    )  # x is 0, 4, 8
    one = supervisor(config, tmp_path)
    one.run(trials=3, jobs=1)
    assert [trial.state.name for trial in one.study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert one.study.trials[2].user_attrs[ERROR] == "RuntimeError: broke while it was stopped"


def test_without_a_pruner_validations_are_answered_and_trainings_go_on(tmp_path: Path) -> None:
    one = supervisor(sweep({"x": {**X, "step": 10}, **TRAINED}, sampler={"kind": "grid"}), tmp_path)
    one.run(trials=2, jobs=2)
    assert states(one.study) == {"COMPLETE": 2}


def test_a_training_goes_on_without_sweep_or_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trial_files.FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert trial_files.worth_going_on({"step": 0, "loss": 1.0})
    assert list(tmp_path.iterdir()) == []
    folder = tmp_path / "validations"
    monkeypatch.setenv(trial_files.FOLDER_VARIABLE, str(folder))
    monkeypatch.setattr(trial_files, "ANSWER_SECONDS", 0.2)
    assert trial_files.worth_going_on({"step": 0, "loss": float("nan")})
    assert trial_files.worth_going_on({"step": 2, "loss": 1.0})
    assert [number for number, _ in trial_files.unanswered(folder)] == [0, 1]
    trial_files.answer(folder, 0, worth_it=False)
    assert list(trial_files.unanswered(folder)) == [(1, {"step": 2, "loss": 1.0})]


if __name__ == "__main__":
    train(sys.argv[1], float(sys.argv[2]))
