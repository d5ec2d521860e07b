"""What the processes of a Ray cluster do in the tests; apart from these, so that each start imports little."""

import os
import signal
import time
from pathlib import Path

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import ConfigurationError
from tests.clips.conftest import make_small


def node_of(task: int) -> tuple[int, str]:
    """The task, and the node that does it, after a while in which the other node is given one, too."""
    import ray

    time.sleep(0.2)
    return task, ray.get_runtime_context().get_node_id()


def end_process(folder: Path, times: int) -> None:
    """Kill this process, if that was not done so often yet."""
    for number in range(times):
        try:
            (folder / f"killed_{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def killed_at(folder: Path, times: int, index: int) -> Clip:
    """Clip `index`; the process that makes number 3 is killed first."""
    if index == 3:
        end_process(folder, times)
    return make_small(index)


def failing(task: int) -> int:
    """Task 1 raises an error for users, task 2 another one."""
    if task == 1:
        raise ConfigurationError("task 1 is wrong")
    return 1 // (2 - task)
