"""All trials are accounted for, whoever is killed; errors are recorded and stop nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweeps import running
from phys4d_kedro.sweeps import supervisor as supervising
from phys4d_kedro.sweeps.studies import ERROR, counted, give_up
from tests.sweeps.cheap import HEIGHT, ROOT, WAITING, X, exists, states, study_of, supervisor, sweep, unfinished


def modes(*names: str) -> dict[str, object]:
    return {"mode": {"kind": "categorical", "choices": list(names)}}


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A supervisor of two jobs in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "tests.sweeps.cheap", str(folder)], cwd=ROOT)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("storage", ["journal.log", "sqlite:///{}/study.db"])
def test_eight_trials_with_two_jobs_survive_the_kill_of_a_worker(tmp_path: Path, storage: str) -> None:
    config = sweep({"x": {**X, "step": 2.5}, **modes("figures", "killed")}, sampler={"kind": "grid"})
    url = storage.format(tmp_path) if "://" in storage else None
    one = supervisor(config, tmp_path, url)
    one.run(trials=8, jobs=2)
    assert states(one.study) == {"COMPLETE": 8}
    assert unfinished(one.study) == []
    lost = [trial for trial in one.study.trials if trial.state == TrialState.FAIL]
    assert [trial.user_attrs[ERROR] for trial in lost] == ["killed by signal 9"]
    assert len(one.study.trials) == 9
    values = [(trial.params["x"], trial.params["mode"]) for trial in counted(one.study)]
    assert sorted(values) == [(x, mode) for x in (0.0, 2.5, 5.0, 7.5) for mode in ("figures", "killed")]
    assert all(trial.values == [(trial.params["x"] - 3) ** 2] for trial in counted(one.study))
    assert not exists(int((tmp_path / "trials" / "killed").read_text())), "a process that the worker had started"


def test_a_killed_supervisor_leaves_nothing_behind_and_is_resumed(tmp_path: Path) -> None:
    """Another that runs meanwhile would wait for its trials; here it is gone, so they are made again at once."""
    killed = started(tmp_path)
    files = [tmp_path / "trials" / f"trial_{number:04d}" / "process" for number in range(2)]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    killed.kill()
    killed.wait()
    for file in files:
        wait_for(lambda file=file: not exists(int(file.read_text())))  # type: ignore[misc]
    one = supervisor(WAITING, tmp_path)
    assert unfinished(one.study) == [0, 1]
    (tmp_path / "trials" / "go").touch()
    one.run(trials=4, jobs=2)
    assert states(one.study) == {"COMPLETE": 4}
    assert unfinished(one.study) == []
    first, again = one.study.trials[:2], one.study.trials[2:4]
    assert [trial.user_attrs[ERROR] for trial in first] == ["its sweep was killed"] * 2
    assert [trial.params for trial in first] == [trial.params for trial in again]


def test_two_supervisors_share_a_study(tmp_path: Path) -> None:
    """Each combination of the grid is made once, and both end when all are made."""
    both = [started(tmp_path) for _ in range(2)]
    wait_for(lambda: len(list(tmp_path.glob("trials/*/process"))) == 4)
    (tmp_path / "trials" / "go").touch()
    assert [process.wait(60) for process in both] == [0, 0]
    study = study_of(WAITING, tmp_path)
    assert sorted(trial.params["x"] for trial in study.trials) == [0, 1, 2, 3]
    assert states(study) == {"COMPLETE": 4}
    makers = [trial.user_attrs["process"] for trial in study.trials]
    assert sorted(makers) == sorted(2 * [process.pid for process in both])


def test_an_interrupted_supervisor_queues_its_trials(tmp_path: Path) -> None:
    config = sweep({"x": X, **modes("waiting")}, retries=0)
    one = supervisor(config, tmp_path)

    files = [tmp_path / "trials" / f"trial_{number:04d}" / "process" for number in range(2)]

    def interrupt(*_: object) -> None:
        if all(file.exists() for file in files):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        with pytest.raises(KeyboardInterrupt):
            one.run(trials=2, jobs=2)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "FAIL", "WAITING", "WAITING"]
    (tmp_path / "trials" / "go").touch()
    supervisor(config, tmp_path).run(trials=2, jobs=2)
    assert states(one.study) == {"COMPLETE": 2}
    assert unfinished(one.study) == []


def test_kills_use_up_retries_and_interruptions_do_not(tmp_path: Path) -> None:
    study = study_of(sweep({"x": X}), tmp_path)
    again = [
        give_up(study, study.ask(), "lost", retries=retries) for retries in (None, 2, None, 2, 2)
    ]  # each asks for what the one before has queued
    assert again == [True, True, True, True, False]
    assert len(counted(study)) == 1


def test_failed_trials_are_recorded_with_their_error(tmp_path: Path) -> None:
    config = sweep({"x": {**X, "step": 10}, **modes("fault", "figures")}, sampler={"kind": "grid"})
    one = supervisor(config, tmp_path)
    one.run(trials=9, jobs=1)
    assert states(one.study) == {"FAIL": 2, "COMPLETE": 2}, "no more than the combinations"
    errors = [trial.user_attrs[ERROR] for trial in one.study.trials if trial.state == TrialState.FAIL]
    assert errors == ["RuntimeError: x of 0.0 is too much", "RuntimeError: x of 10.0 is too much"]
    one.run(trials=9, jobs=1)
    assert len(one.study.trials) == 4


def test_a_figure_that_is_missing_fails_the_trial(tmp_path: Path) -> None:
    one = supervisor(sweep({"x": X}, {**HEIGHT, "value": "score.width"}), tmp_path)
    one.run(trials=1, jobs=1)
    assert states(one.study) == {"FAIL": 1}
    assert "no 'width' of 'score.width' in" in one.study.trials[0].user_attrs[ERROR]
    assert "there is: distance, height" in one.study.trials[0].user_attrs[ERROR]


def test_a_trial_that_another_has_given_up_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the sleep of a laptop: its process is ended, and neither its result nor an error is told."""
    monkeypatch.setattr(running, "_CONFIRM_SECONDS", 0.0)
    config = sweep({"x": X, **modes("waiting")})
    one = supervisor(config, tmp_path)
    begun: list[running.RunningTrial] = []
    one._start(begun)
    process = tmp_path / "trials" / "trial_0000" / "process"
    wait_for(process.exists)
    assert one._goes_on(begun[0])
    study_of(config, tmp_path).tell(0, state=TrialState.FAIL)
    assert not one._goes_on(begun[0])
    assert not exists(int(process.read_text()))
    assert states(one.study) == {"FAIL": 1}


def test_trials_of_other_processes_are_waited_for_until_they_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervisor(sweep({"x": X}, retries=0), tmp_path)
    elsewhere = one.study.ask()
    elsewhere.set_user_attr("machine", "another")
    elsewhere.set_user_attr("process", os.getpid())
    monkeypatch.setattr(supervising, "LOST_SECONDS", 3.0)
    one.run(trials=2, jobs=2)
    assert states(one.study) == {"COMPLETE": 1, "FAIL": 1}
    assert one.study.trials[0].user_attrs[ERROR] == "its sweep was killed"
    assert one.study.trials[1].datetime_complete < one.study.trials[0].datetime_complete


def test_a_supervisor_that_slept_for_long_does_not_give_up_what_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOST_SECONDS", -1.0)
    one = supervisor(sweep({"x": X}), tmp_path)
    one.run(trials=4, jobs=2)
    assert [trial.state.name for trial in one.study.trials] == ["COMPLETE"] * 4


def test_what_a_process_of_the_same_number_left_is_lost(tmp_path: Path) -> None:
    """As in containers, whose processes are few."""
    one = supervisor(sweep({"x": X}), tmp_path)
    left = one.study.ask()
    left.set_user_attr("machine", supervising._THIS_MACHINE)
    left.set_user_attr("process", os.getpid())
    began = time.monotonic()
    one.run(trials=2, jobs=2)
    assert time.monotonic() - began < supervising.LOST_SECONDS
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_the_folder_of_a_study_that_is_no_more_is_not_mixed_with_another(tmp_path: Path) -> None:
    config = sweep({"x": X})
    supervisor(config, tmp_path).run(trials=1, jobs=1)
    (tmp_path / "journal.log").unlink()
    with pytest.raises(ConfigurationError, match=r"trials has trials of a study 'cheap'.*remove the folder.*--study"):
        supervisor(config, tmp_path).run(trials=1, jobs=1)
