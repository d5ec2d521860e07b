"""Spaces of the searched parameters: one of each, and what a trial takes of all of them."""

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import Trial
from pydantic import BaseModel, ConfigDict, Field, model_validator

Choice = bool | int | float | str | None
Values = dict[str, Choice]
"""By dotted names of parameters."""


class _Space(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    when: dict[str, list[Choice]] = Field(
        {}, description="The parameter is searched only where each of these, listed before it, has one of these values."
    )

    def applies(self, values: Values) -> bool:
        """Whether the conditions hold."""
        return all(name in values and values[name] in allowed for name, allowed in self.when.items())


class FloatSpace(_Space):
    """A real number."""

    kind: Literal["float"]
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Whether orders of magnitude are equally likely.")
    step: float | None = Field(None, description="Distance of neighbouring values; null: any value.")

    @model_validator(mode="after")
    def _check(self) -> "FloatSpace":
        FloatDistribution(self.low, self.high, log=self.log, step=self.step)
        return self

    def suggest(self, trial: Trial, name: str) -> Choice:
        """What the trial takes."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step))

    def every(self) -> list[Choice]:
        """All values in order. Raises ValueError where they are not finitely many."""
        if self.step is None:
            raise ValueError("a grid needs a step, or a categorical with its choices")
        return [self.low + i * self.step for i in range(math.floor((self.high - self.low) / self.step + 1e-9) + 1)]

    def outermost(self) -> list[Choice]:
        """The bounds."""
        return [self.low, self.high]


class IntSpace(_Space):
    """A whole number."""

    kind: Literal["int"]
    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value.")
    log: bool = Field(False, description="Whether orders of magnitude are equally likely.")
    step: int = Field(1, description="Distance of neighbouring values.")

    @model_validator(mode="after")
    def _check(self) -> "IntSpace":
        IntDistribution(self.low, self.high, log=self.log, step=self.step)
        return self

    def suggest(self, trial: Trial, name: str) -> Choice:
        """What the trial takes."""
        return int(trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step))

    def every(self) -> list[Choice]:
        """All values in order."""
        return list(range(self.low, self.high + 1, self.step))

    def outermost(self) -> list[Choice]:
        """The bounds."""
        return [self.low, self.high]


class CategoricalSpace(_Space):
    """One of several values."""

    kind: Literal["categorical"]
    choices: list[Choice] = Field(min_length=1, description="The values.")

    def suggest(self, trial: Trial, name: str) -> Choice:
        """What the trial takes."""
        chosen: Choice = trial.suggest_categorical(name, self.choices)
        return chosen

    def every(self) -> list[Choice]:
        """All values in order."""
        return self.choices

    def outermost(self) -> list[Choice]:
        """All values."""
        return self.choices


Space = Annotated[FloatSpace | IntSpace | CategoricalSpace, Field(discriminator="kind")]


def suggest(trial: Trial, parameters: Mapping[str, Space]) -> Values:
    """Let a trial take a value of each parameter whose conditions hold."""
    values: Values = {}
    for name, space in parameters.items():
        if space.applies(values):
            values[name] = space.suggest(trial, name)
    return values


def grid(parameters: Mapping[str, Space]) -> list[Values]:
    """All combinations; a parameter whose conditions do not hold is left out."""
    combinations: list[Values] = [{}]
    for name, space in parameters.items():
        combinations = [
            longer
            for values in combinations
            for longer in ([{**values, name: value} for value in space.every()] if space.applies(values) else [values])
        ]
    return combinations


def extremes(parameters: Mapping[str, Space]) -> Iterator[tuple[str, Values]]:
    """Each parameter's name with each of its bounds or choices, and values under which it is searched."""
    for name, space in parameters.items():
        for value in space.outermost():
            yield name, {**_required(name, parameters), name: value}


def with_values(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested parameters with `{"a.b": 1}` as `{"a": {"b": 1}}` in it."""
    changed = deepcopy(dict(tree))
    for name, value in values.items():
        *path, last = name.split(".")
        branch = changed
        for part in path:
            if not isinstance(branch.get(part), dict):
                branch[part] = {}
            branch = branch[part]
        branch[last] = value
    return changed


def dotted(tree: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    values: dict[str, Any] = {}
    for key, value in tree.items():
        below = dotted(value) if isinstance(value, Mapping) else None
        values |= {key: value} if below is None else {f"{key}.{name}": leaf for name, leaf in below.items()}
    return values


def _required(name: str, parameters: Mapping[str, Space]) -> Values:
    """Values under which the parameter is searched: the first of each of its conditions, and of theirs."""
    values: Values = {}
    for other, allowed in parameters[name].when.items():
        values |= {**_required(other, parameters), other: allowed[0]}
    return values
