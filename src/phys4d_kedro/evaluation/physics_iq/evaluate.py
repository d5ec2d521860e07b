"""Folders of videos in, measured views and findings out: in parallel over views, going on where a run was cut."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from phys4d_kedro.clips.source import map_in_order
from phys4d_kedro.evaluation.physics_iq.cache import Cache
from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig
from phys4d_kedro.evaluation.physics_iq.layout import TAKES, Dataset, Run, find_runs, match_videos, read_dataset
from phys4d_kedro.evaluation.physics_iq.measure import ViewOutcome, ViewTask, measure_view
from phys4d_kedro.evaluation.physics_iq.problems import Problem, sort_problems
from phys4d_kedro.evaluation.physics_iq.scores import Record
from phys4d_kedro.evaluation.physics_iq.takes import Rules

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """Every view that could be measured, by run; the files that were taken; and everything that was found wrong."""

    dataset: Dataset
    runs: Sequence[Run]
    records: dict[str, list[Record]]
    files: dict[str, dict[str, Path]]
    problems: list[Problem]


def evaluate(config: PhysicsIqConfig) -> Evaluation:
    """Measure the videos of every seed.

    Raises:
        ConfigurationError: a folder is not what it should be; before anything is measured.
    """
    dataset = read_dataset(config.dataset_dir)
    runs, problems = find_runs(config.generated_dir)
    problems += dataset.problems()
    files: dict[str, dict[str, Path]] = {}
    for run in runs:
        files[run.name], found = match_videos(run, dataset.views)
        problems += found
    tasks = make_tasks(dataset, files, config)
    records: dict[str, list[Record]] = {run.name: [] for run in runs}
    for outcome in _measure(tasks, config.jobs):
        problems += outcome.problems
        for name, measured in outcome.measured.items():
            records[name].append(Record(outcome.view, measured))
    problems = sort_problems(problems)
    for problem in problems:
        logger.warning("%s", problem)
    return Evaluation(dataset, runs, records, files, problems)


def make_tasks(dataset: Dataset, files: dict[str, dict[str, Path]], config: PhysicsIqConfig) -> list[ViewTask]:
    """A task a view that some run has a video of, and the data set both takes."""
    rules = Rules(config.exact, config.shipped_masks, config.seconds, config.shortest)
    cache = Cache(Path(config.cache_dir))
    tasks = []
    for view in dataset.views:
        videos = {run: found[view.name] for run, found in files.items() if view.name in found}
        if videos and all(dataset.real(view, take) for take in TAKES):
            tasks.append(ViewTask(dataset, view, videos, rules, cache))
    return tasks


def _measure(tasks: Sequence[ViewTask], jobs: int) -> "tqdm[ViewOutcome]":
    """Outcomes in the order of the tasks. With several processes, each computes with one thread."""
    measure = partial(measure_view, threads=None if jobs == 1 else 1)
    outcomes = map_in_order(measure, tasks, jobs=jobs, backend="loky")
    return tqdm(outcomes, total=len(tasks), desc="Physics-IQ views", unit="view")
