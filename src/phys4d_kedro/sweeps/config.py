"""What a sweep searches, and by what it judges: the files conf/<environment>/sweeps/<name>.yml."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweeps.space import Space


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(_Model):
    """A figure that a trial leaves in a file."""

    name: str = Field(min_length=1, description="What it is called in tables and figures.")
    file: str = Field(description="JSON or CSV file that the pipeline writes, as its catalog entry names it.")
    value: str = Field(
        min_length=1,
        description="In JSON: the keys to it, joined by dots. In CSV: its column; the value is that at the greatest "
        "`step`, and the mean of these where there are several seeds.",
    )
    direction: Literal["minimize", "maximize"] = Field(description="What is better.")


class SamplerConfig(_Model):
    """How values are chosen."""

    kind: Literal["tpe", "random", "grid"] = Field(
        "tpe", description="tpe: by what did well, for one objective or several; grid: all combinations in turn."
    )
    startup_trials: int = Field(10, ge=0, description="Random trials before tpe learns from them.")
    seed: int = Field(
        0, ge=0, description="Decides the values, with the number of the trial and what is known by then."
    )


class PrunerConfig(_Model):
    """A trial ends early when its best validation is worse than the median of the others' at that point."""

    watch: str = Field(description="Figure of the validations during training that is compared.")
    startup_trials: int = Field(5, ge=0, description="Trials that have to end before any is ended early.")
    warmup_validations: int = Field(1, ge=0, description="Validations at the start of a trial that do not end it.")


class SweepConfig(_Model):
    """A sweep."""

    parameters: dict[str, Space] = Field(min_length=1, description="What is searched, by dotted names of parameters.")
    objectives: list[Objective] = Field(min_length=1, description="By what trials are judged.")
    sampler: SamplerConfig = Field(SamplerConfig(), description="How values are chosen.")
    pruner: PrunerConfig | None = Field(None, description="When a trial ends early; null: never.")
    retries: int = Field(1, ge=0, description="Times that a trial is made again whose process or machine was lost.")

    @model_validator(mode="after")
    def _check_parameters(self) -> "SweepConfig":
        before: set[str] = set()
        for name, space in self.parameters.items():
            if unknown := [other for other in space.when if other not in before]:
                raise ValueError(
                    f"parameters.{name}.when: '{unknown[0]}' must be one of the parameters listed before it"
                )
            before.add(name)
            if self.sampler.kind == "grid":
                try:
                    space.every()
                except ValueError as error:
                    raise ValueError(f"parameters.{name}: {error}") from error
        return self

    @model_validator(mode="after")
    def _check_objectives(self) -> "SweepConfig":
        if len({objective.name for objective in self.objectives}) < len(self.objectives):
            raise ValueError("objectives: names must differ")
        if len(self.objectives) > 1 and self.pruner is not None:
            raise ValueError("pruner: trials of several objectives cannot be compared early; leave it out")
        return self


def read_sweep(name: str, conf: Path, environments: Sequence[str]) -> tuple[SweepConfig, Path]:
    """The sweep `name` of the last of the environments (folders of `conf`) that has it, and its file.

    Raises:
        ConfigurationError: there is none of this name, or it is not valid.
    """
    folders = [conf / environment / "sweeps" for environment in environments]
    found = [file for folder in folders if (file := folder / f"{name}.yml").is_file()]
    if not found:
        known = sorted({path.stem for folder in folders for path in folder.glob("*.yml")})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known) or 'none'}."
        raise ConfigurationError(f"--sweep: there is no file {folders[0] / name}.yml; {hint}")
    try:
        return SweepConfig.model_validate(yaml.safe_load(found[-1].read_text(encoding="utf-8"))), found[-1]
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{found[-1]} is not valid YAML: {error}") from error
    except ValidationError as error:
        faults = [_describe(fault["loc"], fault["msg"]) for fault in error.errors()]
        raise ConfigurationError(f"{found[-1]}: wrong sweep:\n" + "\n".join(f"- {f}" for f in faults)) from error


def _describe(location: Sequence[int | str], message: str) -> str:
    text = message.removeprefix("Value error, ")
    field = ".".join(str(part) for part in location)
    return f"{field}: {text}" if field else text
