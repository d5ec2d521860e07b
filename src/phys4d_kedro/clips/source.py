"""A clip source: clips that are not made yet, described so that making them can be resumed and shared out."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, TypeVar, get_args

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.on_ray import map_on_ray
from phys4d_kedro.errors import ConfigurationError

Backend = Literal["loky", "ray"]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """Clips to be made, in a fixed order.

    `count` says how many; their ids are known once they are made, and must be unique. `fingerprint` is a hash of all
    that decides their content (parameters, inputs, seed), so that shards already on disk are kept only while they
    would come out the same; `make(i)` makes clip i and depends on nothing but i, so that any process can make any clip.
    `make` must be picklable (a module-level function under functools.partial, or a callable dataclass) and may raise a
    Phys4DError to stop the run. `share` = (index, machines) says which shards this machine makes: those whose number
    modulo `machines` is `index`. A process gets `together` successive clips at a time, which may share costly work.
    """

    count: int
    fingerprint: str
    make: Callable[[int], Clip]
    description: str
    share: tuple[int, int] = (0, 1)
    together: int = 1

    def __len__(self) -> int:
        return self.count


def check_backend(backend: str) -> None:
    """Raise ConfigurationError unless the processes of this backend can be had."""
    if backend not in get_args(Backend):
        raise ConfigurationError(f"backend '{backend}': there are {', '.join(get_args(Backend))}")
    if backend == "ray" and find_spec("ray") is None:
        raise ConfigurationError(
            "backend 'ray': the package ray is not installed; install this project with its extra 'ray' (pip install "
            "-e '.[ray]'), or use backend 'loky', the processes of one machine"
        )


def map_in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int, backend: Backend, together: int = 1
) -> Generator[Result, None, None]:
    """`map`, by `jobs` processes (-1: one a processor) of this machine (`loky`) or of a Ray cluster (`ray`).

    Each process gets `together` successive tasks at a time.

    Tasks are taken as processes become free, so they may be many and costly to find. Closing the generator
    stops the processes.
    """
    import joblib

    if backend == "ray":
        yield from map_on_ray(function, tasks, jobs=jobs, together=together)
    elif jobs == 1:
        yield from map(function, tasks)
    else:
        failures: list[Exception] = []
        parallel = joblib.Parallel(
            n_jobs=jobs, return_as="generator", batch_size=together, pre_dispatch=f"{2 * together}*n_jobs"
        )
        yield from parallel(joblib.delayed(function)(task) for task in _until_failure(tasks, failures))
        if failures:
            raise failures[0]


def _until_failure(tasks: Iterable[Task], failures: list[Exception]) -> Iterator[Task]:
    """The tasks until finding one fails: joblib looks for them in a thread of its own, where an error would be lost."""
    try:
        yield from tasks
    except Exception as error:
        failures.append(error)
