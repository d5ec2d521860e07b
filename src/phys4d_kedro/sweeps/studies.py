"""Studies of Optuna: opened over a shared storage, asked for trials, told how these ended."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweeps.config import PrunerConfig, SweepConfig
from phys4d_kedro.sweeps.space import Values, grid, suggest

ERROR = "error"
_DEFINITION, _RETRY_OF, _ATTEMPT = "definition", "retry_of", "attempt"


def open_storage(url: str) -> BaseStorage:
    """A journal (a path that ends in .log) or a database (a URL of SQLAlchemy).

    Raises:
        ConfigurationError: it is neither, its driver is not installed, or it cannot be reached.
    """
    shown = re.sub(r"//[^@/]*@", "//***@", url)
    fix = "give a file that ends in .log, or a URL such as sqlite:///sweeps.db or postgresql://user:password@host/name"
    if "://" not in url:
        if not url.endswith(".log"):
            raise ConfigurationError(f"--storage={shown}: neither a journal nor the URL of a database; {fix}")
        try:
            Path(url).parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(url))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"--storage={shown}: no journal can be kept there ({error}); {fix}") from error
    waits = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        return RDBStorage(url, engine_kwargs=waits)
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).replace(url, shown).splitlines()[0]
        raise ConfigurationError(f"--storage={shown}: the database cannot be opened ({reason}); {fix}") from error


def open_study(name: str, sweep: SweepConfig, storage: BaseStorage, circumstances: dict[str, Any]) -> Study:
    """The study of this name, begun or gone on with.

    Args:
        circumstances: what else decides the values of its objectives, such as the pipelines that trials run.

    Raises:
        ConfigurationError: it was begun with other parameters, objectives or circumstances.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        pruner=_pruner(sweep.pruner),
        directions=[objective.direction for objective in sweep.objectives],
        load_if_exists=True,
    )
    content = sweep.model_dump(mode="json", include={"parameters", "objectives"}) | circumstances
    definition = json.loads(json.dumps(content))
    begun = study.user_attrs.get(_DEFINITION, definition)
    if changed := [key for key in definition if begun.get(key) != definition[key]]:
        raise ConfigurationError(
            f"study '{name}' was begun with other {', '.join(changed)}, so that its trials cannot be compared with new "
            f"ones; begin another with --study=<name>"
        )
    study.set_user_attr(_DEFINITION, definition)
    return study


def begin(study: Study, sweep: SweepConfig, trial: Trial) -> Values:
    """The values of a trial that was just asked for.

    They derive from the seed and the trial's number, so that processes which share a study draw different ones, and
    share a grid without a word between them.
    """
    seed = int(np.random.SeedSequence([sweep.sampler.seed, trial.number]).generate_state(1)[0])
    if sweep.sampler.kind == "grid":
        combinations = grid(sweep.parameters)
        study.sampler = _Fixed(combinations[_place(study, trial.number) % len(combinations)])
    elif sweep.sampler.kind == "tpe":
        study.sampler = TPESampler(seed=seed, n_startup_trials=sweep.sampler.startup_trials)
    else:
        study.sampler = RandomSampler(seed=seed)
    return suggest(trial, sweep.parameters)


def _place(study: Study, number: int) -> int:
    """How many trials were begun before this one, or before the one that it makes again."""
    attributes = [trial.user_attrs for trial in study.get_trials(deepcopy=False)]
    while _RETRY_OF in attributes[number]:
        number = attributes[number][_RETRY_OF]
    return sum(_RETRY_OF not in one for one in attributes[:number])


def counted(study: Study) -> list[FrozenTrial]:
    """The trials that were begun, without those that were lost and are made again."""
    trials = study.get_trials(deepcopy=False)
    replaced = {trial.user_attrs.get(_RETRY_OF) for trial in trials}
    return [t for t in trials if t.number not in replaced and t.state != TrialState.WAITING]


def end(study: Study, trial: Trial | FrozenTrial, state: TrialState, *, values: list[float] | None = None) -> bool:
    """Record how a trial ended. False, and nothing, where another process gave it up before."""
    with suppress(UpdateFinishedTrialError):
        if study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
            study.tell(trial.number, values, state)
            return True
    return False


def fail(study: Study, trial: Trial | FrozenTrial, error: str) -> bool:
    """Record a trial as failed, with its error; False where it has ended already."""
    with suppress(UpdateFinishedTrialError):
        Trial(study, trial._trial_id).set_user_attr(ERROR, error)
        return end(study, trial, TrialState.FAIL)
    return False


def give_up(study: Study, trial: Trial | FrozenTrial, error: str, *, retries: int | None) -> bool:
    """Record a trial as lost with its process or machine, and put it into the queue again.

    Args:
        retries: times that a lost trial is made again; null: any number, and this time does not count.

    Returns:
        Whether it is made again.
    """
    if not fail(study, trial, error):
        return False
    attempt = int(trial.user_attrs.get(_ATTEMPT, 0)) + (retries is not None)
    if retries is not None and attempt > retries:
        return False
    study.enqueue_trial(trial.params, user_attrs={_RETRY_OF: trial.number, _ATTEMPT: attempt})
    return True


def best_trial(study: Study) -> FrozenTrial | None:
    """The best; of several objectives, the one of the Pareto front whose ranks in them have the smallest sum.

    Null where no trial is complete.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    signs = [1 if direction == StudyDirection.MINIMIZE else -1 for direction in study.directions]

    def rank_sum(trial: FrozenTrial) -> tuple[int, int]:
        better = [sign * other.values[i] < sign * trial.values[i] for other in complete for i, sign in enumerate(signs)]
        return sum(better), trial.number

    return min(study.best_trials, key=rank_sum, default=None)


def _pruner(config: PrunerConfig | None) -> BasePruner:
    if config is None:
        return NopPruner()
    return MedianPruner(n_startup_trials=config.startup_trials, n_warmup_steps=config.warmup_validations)


class _Fixed(BaseSampler):
    """Samples what it is given."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._values[param_name]
