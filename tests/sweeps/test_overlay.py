"""The best trial as an environment, which Kedro reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.settings import CONFIG_LOADER_ARGS
from phys4d_kedro.sweeps.overlay import check_environment, write_overlay

ROOT = Path(__file__).parents[2]


def read(conf: Path, env: str, **runtime: Any) -> OmegaConfigLoader:
    return OmegaConfigLoader(str(conf), env=env, runtime_params=runtime, **CONFIG_LOADER_ARGS)


def write(conf: Path, values: dict[str, Any], *, over: str = "local", name: str = "tuned") -> None:
    origin = {"study": "sft", "trial": 3, "depth loss": 0.25}
    write_overlay(conf / name, values, over=conf / over, origin=origin)


def test_kedro_reads_the_searched_and_the_shared_parameters(project: Path) -> None:
    conf = project / "conf"
    write(conf, {"sft.loop.learning_rate": 0.0031, "sft.depth_weight": 2.0, "pretrain.head": "linear", "seed": 7})
    searched = {"loop": {"learning_rate": 0.0031}, "depth_weight": 2.0}
    before, after = read(conf, "local", sft=searched, pretrain={"head": "linear"}, seed=7), read(conf, "tuned")
    assert after["parameters"] | {"seed": 7} == before["parameters"]  # Kedro adds whatever --params names
    assert after["parameters"]["sft"]["loop"]["seed"] == 7
    assert after["catalog"] == before["catalog"]
    assert yaml.safe_load((conf / "tuned/best_trial.yml").read_text()) == {
        "study": "sft",
        "trial": 3,
        "depth loss": 0.25,
    }


def test_the_environment_of_the_trials_is_kept_below(project: Path) -> None:
    conf = project / "conf"
    (conf / "wan22-5b/credentials.yml").write_text("bucket: {key: secret}\n")
    write(conf, {"sft.depth_weight": 2.0}, over="wan22-5b")
    expected = read(conf, "wan22-5b")["parameters"]
    expected["sft"]["depth_weight"] = 2.0
    assert read(conf, "tuned")["parameters"] == expected
    assert read(conf, "tuned")["catalog"] == read(conf, "wan22-5b")["catalog"]
    assert not list((conf / "tuned").glob("credentials*"))


def test_written_again_it_is_new_and_over_itself_it_grows(project: Path) -> None:
    conf = project / "conf"
    write(conf, {"sft.loop.steps": 3})
    check_environment(conf / "tuned")
    write(conf, {"sft.depth_weight": 2.0})
    assert read(conf, "tuned")["parameters"]["sft"]["loop"]["steps"] != 3
    write(conf, {"rl.kl_weight": 0.5}, over="tuned")
    parameters = read(conf, "tuned")["parameters"]
    assert (parameters["sft"]["depth_weight"], parameters["rl"]["kl_weight"]) == (2.0, 0.5)


@pytest.mark.parametrize("name", ["base", "local", "full"])
def test_environments_of_others_are_left_alone(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--write-best={name}: conf/{name} was not written by a sweep"):
        check_environment(ROOT / "conf" / name)
    check_environment(ROOT / "conf" / "not-there-yet")
