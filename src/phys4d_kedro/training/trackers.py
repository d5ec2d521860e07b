"""Loss curves where people look at them: DVCLive and TensorBoard, as files in the folder of the run.

A run that was cut may have logged more than its last checkpoint knows. On resume TensorBoard is told to drop what is
later, as its event files only grow, and DVCLive's tables are written anew from the checkpoint's history.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Protocol

from phys4d_kedro.clips.files import disk_is_full
from phys4d_kedro.errors import StorageFullError
from phys4d_kedro.training.checkpoints import TrainingState
from phys4d_kedro.training.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from dvclive.live import Live

Row = dict[str, float]


class Tracker(Protocol):
    """Takes figures of a step: of the group `train` or `validation`, under their names."""

    def log(self, group: str, row: Row) -> None:
        """Take a row of `step` and figures."""
        ...

    def flush(self) -> None:
        """Have everything in files."""
        ...

    def close(self) -> None:
        """End."""
        ...


class DvcLiveTracker:
    """`metrics.json` and `plots/metrics/<group>/<figure>.tsv`; without Git, dvc.yaml, report or network."""

    def __init__(self, directory: Path, state: TrainingState) -> None:
        rmtree(directory, ignore_errors=True)
        self._live = _open_dvclive(directory)
        for group, rows in (("train", state.history), ("validation", state.validations)):
            for row in rows:
                self._add(group, row)
        self._live.make_summary()

    def log(self, group: str, row: Row) -> None:
        self._add(group, row)
        self._live.make_summary()

    def flush(self) -> None:
        """Nothing to do: every row is in its file."""

    def close(self) -> None:
        """Nothing to do; `Live.end` would look for a repository."""

    def _add(self, group: str, row: Row) -> None:
        self._live.step = int(row["step"])
        for key, value in row.items():
            if key != "step":
                self._live.log_metric(f"{group}/{key}", value)


class TensorBoardTracker:
    """Scalars `<group>/<figure>` in event files."""

    def __init__(self, directory: Path, state: TrainingState) -> None:
        from torch.utils.tensorboard import SummaryWriter

        _wait_for_a_later_name(directory)
        later = state.step + 1 if state.step else 0  # what a run that begins anew had logged before its first step, too
        self._writer = SummaryWriter(str(directory), purge_step=later)

    def log(self, group: str, row: Row) -> None:
        for key, value in row.items():
            if key != "step":
                self._writer.add_scalar(f"{group}/{key}", value, int(row["step"]))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


_TRACKERS: dict[str, Callable[[Path, TrainingState], Tracker]] = {
    "dvclive": DvcLiveTracker,
    "tensorboard": TensorBoardTracker,
    "mlflow": MlflowTracker,
}


class Trackers:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def log(self, group: str, row: Row) -> None:
        """Give all of them a row. Raises StorageFullError where the disk is full."""
        try:
            for tracker in self._trackers:
                tracker.log(group, row)
        except OSError as error:
            if disk_is_full(error):
                raise StorageFullError(
                    f"no space left for the curves of step {row['step']}; free some space and run again: training "
                    f"resumes from the last checkpoint"
                ) from error
            raise

    def flush(self) -> None:
        """Have everything in files, before a checkpoint says that it is there."""
        for tracker in self._trackers:
            tracker.flush()


@contextmanager
def open_trackers(names: Sequence[str], directory: Path, state: TrainingState) -> Iterator[Trackers]:
    """Trackers in folders of their names in `directory`, going on after what `state` knows."""
    trackers: list[Tracker] = []
    try:
        for name in dict.fromkeys(names):
            trackers.append(_TRACKERS[name](directory / name, state))
        yield Trackers(trackers)
    finally:
        for tracker in trackers:
            tracker.close()


def _wait_for_a_later_name(directory: Path) -> None:
    """Event files are read in the order of the second in their names, so two of a run must not share one."""
    seconds = [int(path.name.split(".")[3]) for path in directory.glob("events.out.tfevents.*")]
    wait = max(seconds, default=0) + 1 - time.time()
    if 0 < wait <= 1:
        time.sleep(wait)


def _open_dvclive(directory: Path) -> "Live":
    from dvclive.live import Live

    class Files(Live):
        """Live without its surroundings: it would open, or make, a DVC repository, and report to DVC Studio."""

        def _init_dvc(self) -> None:
            self._save_dvc_exp = False

        def _init_studio(self) -> None:
            self._studio_events_to_skip.update(("start", "data", "done"))

    return Files(str(directory), save_dvc_exp=False, dvcyaml=None)
