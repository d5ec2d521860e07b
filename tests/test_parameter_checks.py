"""Errors of parameters name the file, the line, the field and the fix."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, field_validator

from phys4d_kedro.clips.clip import check_length
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.parameter_checks import ParameterFiles, check_parameters

PATTERNS = ["parameters*", "parameters*/**", "**/parameters*"]


class Size(BaseModel):
    """Size of a clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    frames: int = Field(description="number of frames, 1 + 4k.")
    height: int = Field(ge=8, description="rows in pixels.")

    @field_validator("frames")
    @classmethod
    def _length(cls, frames: int) -> int:
        check_length(frames, "frames")
        return frames


class Scene(BaseModel):
    """A scene to sample."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(description="name of the scene.")
    weight: float = 1.0


class Simulation(BaseModel):
    """Parameters of a stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    size: Size
    clips: int = Field(description="how many clips to make.")
    scenes: list[Scene] = Field(default_factory=list)


BASE = """simulation:
  size:
    frames: ${globals:clip.frames}
    height: 64
  clips: 4
  scenes:
    - name: domino
    - name: ramp
      weight: 2
seed: ${runtime_params:seed,0}
"""


def check(
    tmp_path: Path, text: str = BASE, *, env: str = "", frames: Any = 17, runtime: Any = None, models: Any = None
) -> dict[str, Any]:
    """Write conf files, merge them as Kedro does, and check them."""
    for folder in ("base", "local"):
        (tmp_path / "conf" / folder).mkdir(parents=True)
    (tmp_path / "conf/base/globals.yml").write_text(f"# shared\nclip:\n  frames: {frames}\n")
    (tmp_path / "conf/base/parameters_simulation.yml").write_text(text)
    (tmp_path / "conf/local/parameters.yml").write_text(env)
    files = ParameterFiles.read(
        tmp_path / "conf", environments=["base", "local"], patterns=PATTERNS, runtime=runtime or {}
    )
    for name, resolver in (("globals", lambda _: frames), ("runtime_params", lambda _, default: default)):
        OmegaConf.register_new_resolver(name, resolver, replace=True)
    merged = OmegaConf.merge(OmegaConf.create(text), OmegaConf.create(env or {}), runtime or {})
    parameters: Any = OmegaConf.to_container(merged, resolve=True)
    return check_parameters(parameters, models or {"simulation": Simulation}, files)


def message(tmp_path: Path, *args: Any, **kwargs: Any) -> str:
    """The error of `check`."""
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, *args, **kwargs)
    return str(caught.value)


def test_right_parameters_become_models(tmp_path: Path) -> None:
    checked = check(tmp_path)
    assert isinstance(checked["simulation"], Simulation)
    assert checked["simulation"].size.frames == 17
    assert checked["seed"] == 0


@pytest.mark.parametrize("first", ["simulation", "simulation.size"])
def test_a_stage_and_a_part_of_it_can_both_be_models(tmp_path: Path, first: str) -> None:
    models = dict(sorted({"simulation": Simulation, "simulation.size": Size}.items(), key=lambda i: i[0] != first))
    assert isinstance(check(tmp_path, models=models)["simulation"], Simulation)


def test_a_part_alone_can_be_a_model(tmp_path: Path) -> None:
    checked = check(tmp_path, models={"simulation.size": Size})
    assert checked["simulation"]["size"] == Size(frames=17, height=64)
    assert checked["simulation"]["clips"] == 4


def test_wrong_type_names_file_line_field_value_and_meaning(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("clips: 4", "clips: many"))
    assert "conf/base/parameters_simulation.yml:5: simulation.clips = 'many': " in text
    assert "valid integer" in text
    assert "It is: how many clips to make." in text


def test_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("    height: 64", "    heigth: 64"))
    assert ":4: unknown key 'simulation.size.heigth'; did you mean 'height'?" in text
    assert "parameters_simulation.yml:2: 'simulation.size.height' is missing; add it. It is: rows in pixels." in text


def test_unknown_key_far_from_all_lists_what_is_known(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("  clips: 4", "  clips: 4\n  zzz: 1"))
    assert "unknown key 'simulation.zzz'; known here: clips, scenes, size" in text


def test_length_not_1_plus_4k_points_at_the_globals_that_set_it(tmp_path: Path) -> None:
    text = message(tmp_path, frames=16)
    assert "conf/base/globals.yml:3 (clip.frames, used in conf/base/parameters_simulation.yml:3)" in text
    assert "simulation.size.frames = 16" in text
    assert "use 13 or 17" in text


def test_fault_inside_a_list_names_the_item(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("weight: 2", "weigth: 2"))
    assert "parameters_simulation.yml:9: unknown key 'simulation.scenes.1.weigth'; did you mean 'weight'?" in text


def test_value_of_an_environment_is_blamed_on_its_file(tmp_path: Path) -> None:
    text = message(tmp_path, env="simulation:\n  size:\n    height: 2\n")
    assert "conf/local/parameters.yml:3: simulation.size.height = 2" in text
    assert "greater than or equal to 8" in text


def test_value_from_the_command_line_is_blamed_on_it(tmp_path: Path) -> None:
    assert "--params: simulation.clips = 'x'" in message(tmp_path, runtime={"simulation": {"clips": "x"}})


def test_misspelt_stage_is_not_ignored(tmp_path: Path) -> None:
    text = message(tmp_path, runtime={"simulaton": {"clips": 3}})
    assert "--params: unknown key 'simulaton'; did you mean 'simulation'?" in text


def test_runtime_parameter_that_a_file_refers_to_is_known(tmp_path: Path) -> None:
    check(tmp_path, BASE.replace("seed: $", "other: $"), runtime={"seed": 3})


def test_missing_stage_is_an_error(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("simulation:", "simulaton:"))
    assert (
        "conf/base/parameters_simulation.yml: 'simulation' is missing; did you mean 'simulation' by 'simulaton'?"
        in text
    )


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    text = message(tmp_path, BASE.replace("clips: 4", "clips: x").replace("height: 64", "height: y"))
    assert text.count("\n- ") == 2


def test_broken_yaml_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/base/parameters_x.yml").write_text("a: [1, 2")
    with pytest.raises(ConfigurationError, match=r"conf/base/parameters_x.yml is not valid YAML"):
        ParameterFiles.read(tmp_path / "conf", environments=["base"], patterns=PATTERNS, runtime={})
