"""`map` by the processors of a Ray cluster; it goes on when a process or a machine of the cluster is lost."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from phys4d_kedro.errors import ConfigurationError, LaunchError, Phys4DError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Batches of tasks a processor that may be begun before the oldest is taken; their results lie in Ray's memory.
_AHEAD = 4
# How often a batch is begun again after its process or its machine was lost.
_RETRIES = 3


def map_on_ray(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int, together: int = 1
) -> Iterator[Result]:
    """`map`, by `jobs` processors (-1: all) of the cluster that RAY_ADDRESS names; without one, of this machine.

    By tasks of Ray rather than joblib's pool of actors: those hold no processor, so that all of them may come to lie
    on one machine, and one that is lost ends the pool.

    Raises:
        LaunchError: the process of a task was lost again and again.
        ConfigurationError: a machine of the cluster lacks the current folder.
        Exception: what the function raised.
    """
    import ray

    if not ray.is_initialized():
        ray.init()
    remote = ray.remote(_map_in).options(num_cpus=1, max_retries=_RETRIES)
    sent = ray.put(function)
    remaining = iter(tasks)
    begun: deque[tuple[Any, list[Task]]] = deque()
    exhausted = False
    try:
        while begun or not exhausted:
            unfinished = _unfinished(begun)
            if not exhausted and _has_room(len(begun), len(unfinished), jobs):
                if batch := list(islice(remaining, together)):
                    begun.append((remote.remote(str(Path.cwd()), sent, batch), batch))
                exhausted = not batch
            elif begun[0][0] not in unfinished:
                yield from _taken(*begun.popleft())
            else:
                ray.wait(unfinished, num_returns=1)
    finally:
        for reference in _unfinished(begun):
            ray.cancel(reference, force=True)


def _map_in(folder: str, function: Callable[[Task], Result], tasks: list[Task]) -> list[Result]:
    """What a process of the cluster does; paths of parameters are relative to the project's folder."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigurationError(
            f"the machine {os.uname().nodename} of the Ray cluster cannot enter {folder}; the project's folder has to "
            f"lie on a disk that all machines share, under the same name ({error.strerror})"
        ) from None
    return [function(task) for task in tasks]


def _unfinished(begun: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Those batches that are not done."""
    import ray

    references = [reference for reference, _ in begun]
    return list(ray.wait(references, num_returns=len(references), timeout=0)[1]) if references else []


def _has_room(begun: int, unfinished: int, jobs: int) -> bool:
    """Whether one more batch may begin. The processors are counted anew: machines join a cluster, and leave it."""
    import ray

    processors = jobs if jobs > 0 else max(1, int(ray.cluster_resources().get("CPU", 1)))
    return begun < _AHEAD * processors and (jobs < 0 or unfinished < jobs)


def _taken(reference: Any, tasks: list[Task]) -> list[Any]:
    """The results of a batch."""
    import ray

    try:
        found: list[Any] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, Phys4DError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise LaunchError(
            f"Ray lost the process of task {', '.join(map(str, tasks))} {_RETRIES + 1} times, or cannot start it: "
            f"{error}\nIf memory ran out, let fewer run at once (`jobs` of the data set). What was complete is kept, "
            f"and running again goes on from it"
        ) from error
    return found
