"""Jobs in one process, in several, and by launchers outside; and what the user reads when a process fails."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.errors import ConfigurationError, LaunchError, MissingAnnotationError
from phys4d_kedro.training.launch import Job, launch
from phys4d_kedro.training.launch_config import LaunchConfig

ROOT = Path(__file__).parents[2]
JOBS = "tests.training.launch_jobs"
TWO = LaunchConfig(processes=2)


def failing(how: str, folder: Path, rank: int = 1) -> Job:
    return Job(f"{JOBS}:fail", {"how": how, "rank": rank, "folder": str(folder)})


def calls(folder: Path) -> int:
    return len(list(folder.glob("call_*_0")))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("launch_jobs", {}, "has to be written package.module:name"),
        ("a b:c", {}, "has to be written package.module:name"),
        (f"{JOBS}:report", {"folder": Path("x")}, "argument 'folder' = .*Path.* is not JSON"),
        (f"{JOBS}:report", {"folder": "x", "values": [float("nan")]}, "argument 'values' = .nan. is not JSON"),
        (f"{JOBS}:report", {"folder": "x", "values": (1, 2)}, "argument 'values' = .* is not JSON"),
        (f"{JOBS}:report", {"folder": "x", "values": {1: 2}}, "argument 'values' = .* is not JSON"),
    ],
)
def test_job_is_refused_when_it_is_made(function: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Job(function, arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("nowhere.at_all:train", {}, "there is no module 'nowhere'"),
        (f"{JOBS}:repord", {"folder": "x"}, "has no 'repord'"),
        (f"{JOBS}:report", {"folder": "x"}, "missing a required argument: 'values'"),
        (f"{JOBS}:report", {"folder": "x", "values": [], "seed": 1}, "unexpected keyword argument 'seed'"),
    ],
)
def test_unknown_function_is_refused_before_any_process_starts(
    function: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        launch(Job(function, arguments), TWO)


def test_external_jobs_need_a_folder_and_leave_processes_to_the_launcher() -> None:
    with pytest.raises(ValueError, match="`external` needs `job_dir`"):
        LaunchConfig(external=True)
    with pytest.raises(ValueError, match="leave `processes` at 1"):
        LaunchConfig(external=True, job_dir="jobs", processes=2)


def test_jobs_differ_by_what_they_do_alone(tmp_path: Path) -> None:
    job = Job("a.b:train", {"seed": 1, "rate": 0.5})
    assert Job.read(job.write(tmp_path)) == job
    assert job.fingerprint == Job("a.b:train", {"rate": 0.5, "seed": 1}).fingerprint
    others = [Job("a.b:train", {"seed": 2, "rate": 0.5}), Job("a.b:test", {"seed": 1, "rate": 0.5})]
    assert len({job.fingerprint, *(other.fingerprint for other in others)}) == 3
    (tmp_path / "broken.json").write_text('{"function": "a.b:train"}')
    with pytest.raises(ConfigurationError, match="is not the file of a job"):
        Job.read(tmp_path / "broken.json")


def test_one_process_is_this_one(tmp_path: Path) -> None:
    found = launch(Job(f"{JOBS}:report", {"folder": str(tmp_path), "values": [0.5]}), LaunchConfig())
    assert (found["pid"], found["processes"], found["values"]) == (os.getpid(), 1, [0.5])


def test_several_processes_then_this_one_loads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank, number and threads of each; only the first logs below WARNING and shows its bar; signals are as before."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    values = [0.1, 1e-300]
    found = launch(Job(f"{JOBS}:report", {"folder": str(tmp_path), "values": values}), TWO)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "OMP_NUM_THREADS" not in os.environ
    assert (found["pid"], found["processes"]) == (os.getpid(), 1)
    of_ranks = [json.loads((tmp_path / f"{rank}_of_2.json").read_text()) for rank in range(2)]
    assert len({os.getpid(), *(one["pid"] for one in of_ranks)}) == 3
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert all(one["threads"] == threads and one["values"] == values for one in of_ranks)
    printed = capfd.readouterr().err
    assert printed.count("warned by rank 1") == 1
    assert "told by rank 1" not in printed
    assert "bar of rank 1" not in printed
    assert "bar of rank 0" in printed


def test_error_for_the_user_comes_as_itself_and_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(MissingAnnotationError, match=r"^clip 7 has no depth$"):
        launch(failing("user", tmp_path), LaunchConfig(processes=2, restarts=3))
    assert calls(tmp_path) == 1


def test_error_of_a_process_comes_with_its_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LaunchError) as caught:
        launch(failing("code", tmp_path), TWO)
    message = str(caught.value)
    assert message.startswith(f"process 1 of 2 of {JOBS}:fail failed: ZeroDivisionError: one by zero")
    assert 'raise ZeroDivisionError("one by zero")' in message
    assert "Traceback" not in capfd.readouterr().err


def test_process_that_just_ends_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"process 1 of 2 .* ended with exit code 3 and no error of its own"):
        launch(failing("exit", tmp_path), TWO)


@pytest.mark.parametrize("rank", [0, 1])
def test_killed_process_is_named_not_the_one_that_misses_it(tmp_path: Path, rank: int) -> None:
    with pytest.raises(LaunchError, match=rf"process {rank} of 2 .*was ended by SIGKILL; .*memory.*resumes"):
        launch(failing("kill", tmp_path, rank), TWO)


def test_lost_process_is_restarted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    launch(failing("once", tmp_path), LaunchConfig(processes=2, restarts=1))
    assert calls(tmp_path) == 3  # the first start, the second, and this process
    assert "SIGKILL" in caplog.text
    assert "0 restarts are left" in caplog.text


def test_processes_end_when_what_started_them_is_killed(tmp_path: Path) -> None:
    code = (
        "from phys4d_kedro.training.launch import *; from phys4d_kedro.training.launch_config import LaunchConfig\n"
        f"launch(Job('{JOBS}:wait_for_ever', {{'folder': {str(tmp_path)!r}}}), LaunchConfig(processes=2))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as launcher:
        pids = [int(wait_for(tmp_path / f"pid_{rank}")) for rank in range(2)]
        launcher.kill()
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_interruption_ends_the_processes_and_arrives_as_ever(tmp_path: Path) -> None:
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would have it ignored
    job = Job(f"{JOBS}:wait_for_ever", {"folder": str(tmp_path)})

    def interrupt() -> None:
        wait_for(tmp_path / "pid_0")
        wait_for(tmp_path / "pid_1")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        launch(job, TWO)
    thread.join()
    signal.signal(signal.SIGINT, inherited)
    assert not any(is_running(int((tmp_path / f"pid_{rank}").read_text())) for rank in range(2))


def test_a_signal_that_is_ignored_as_under_nohup_stops_nothing(tmp_path: Path) -> None:
    inherited = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    launch(Job(f"{JOBS}:hang_up", {"folder": str(tmp_path)}), TWO)
    assert signal.signal(signal.SIGHUP, inherited) is signal.SIG_IGN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done_0", "done_1"]


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_external_job_waits_then_goes_on_from_its_result(tmp_path: Path, machines: int) -> None:
    """By the configurations of the project: two processes of one machine, or one on each of two."""
    results = tmp_path / "results"
    results.mkdir()
    job = Job(f"{JOBS}:report", {"folder": str(results), "values": [1.5]})
    configuration = f"conf/wan22-5b/accelerate/{'one_node' if machines == 1 else 'several_nodes'}.yaml"
    config = LaunchConfig(external=True, job_dir=str(tmp_path / "jobs"), accelerate_config=configuration)
    with pytest.raises(LaunchError) as caught:
        launch(job, config)
    shown = re.search(
        rf"    (accelerate launch --config_file {configuration} (-m \S+ \S+\.json --timeout-minutes 60))\n",
        str(caught.value),
    )
    assert shown
    assert not list(results.iterdir())

    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", configuration]
    places = ["--num_processes=2", f"--num_machines={machines}", "--main_process_ip=localhost"]
    places.append(f"--main_process_port={free_port()}")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [*launcher, *places, f"--machine_rank={machine}", *shown[2].split()], cwd=ROOT, env=environment
        )
        for machine in range(machines)
    ]
    assert [process.wait(timeout=300) for process in running] == [0] * machines
    assert sorted(path.name for path in results.iterdir()) == ["0_of_2.json", "1_of_2.json"]

    assert launch(job, config)["pid"] == os.getpid()
    changed = Job(job.function, {**job.arguments, "values": [2.5]})
    with pytest.raises(LaunchError, match="waits to be run"):
        launch(changed, config)


def test_failed_worker_leaves_the_job_undone(tmp_path: Path) -> None:
    config = LaunchConfig(external=True, job_dir=str(tmp_path))
    job = Job(f"{JOBS}:report", {"folder": str(tmp_path / "missing"), "values": []})
    with pytest.raises(LaunchError, match=r"accelerate launch -m phys4d_kedro"):
        launch(job, config)
    path = next(tmp_path.glob("report_*.json"))
    worker = [sys.executable, "-m", "phys4d_kedro.training.worker", str(path)]
    ended = subprocess.run(worker, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 1
    assert "FileNotFoundError" in ended.stderr
    with pytest.raises(LaunchError, match="waits to be run"):
        launch(job, config)


def test_worker_refuses_to_train_the_same_job_alone_many_times(tmp_path: Path) -> None:
    """srun of several tasks without torchrun: each would think that it is alone, and write the same checkpoints."""
    job = Job(f"{JOBS}:report", {"folder": str(tmp_path), "values": []})
    worker = [sys.executable, "-m", "phys4d_kedro.training.worker", str(job.write(tmp_path))]
    environment = {**os.environ, "SLURM_STEP_NUM_TASKS": "2"}
    ended = subprocess.run(worker, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert "ConfigurationError: srun started several workers" in ended.stderr
    assert not list(tmp_path.glob("*_of_*.json"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 300
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
