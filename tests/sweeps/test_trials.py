"""A trial as a run of Kedro: what it reads is shared, what it writes is its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.settings import CONFIG_LOADER_ARGS
from phys4d_kedro.sweep_trials import KedroTrials

VALUES = {"sft.depth_weight": 2.0, "sft.loop.steps": 7}


@pytest.fixture
def unrequested() -> Iterator[None]:
    """The pipelines as they are for other tests."""
    configure_project("phys4d_kedro")
    yield
    pipelines.set_requested(None)


def read(conf: Path) -> OmegaConfigLoader:
    return OmegaConfigLoader(str(conf), env="local", **CONFIG_LOADER_ARGS)


@pytest.mark.usefixtures("unrequested")
def test_a_trial_has_the_configuration_with_its_values_and_places(project: Path, tmp_path: Path) -> None:
    (project / "conf/local/credentials.yml").write_text("bucket: {key: secret}\n")
    trials = KedroTrials(project, ["sft"], None, {"seed": 7, "sft": {"lora": {"rank": 4}}})
    folder = tmp_path / "trial"
    command, variables = trials(folder, VALUES)
    assert command == ["kedro", "run", f"--conf-source={folder / 'conf'}", "--pipelines=sft"]
    before, trial = read(project / "conf"), read(folder / "conf")

    expected: dict[str, Any] = before["parameters"]
    expected["sft"] |= {"depth_weight": 2.0}
    expected["sft"]["lora"]["rank"] = 4
    expected["sft"]["loop"] |= {"steps": 7, "seed": 7}
    found = trial["parameters"]
    assert found["sft"].pop("checkpoint_dir") == f"{folder}/{expected['sft'].pop('checkpoint_dir')}"
    assert found["sft"] == expected["sft"]
    assert trial["globals"]["seed"] == 7
    assert trial["credentials"] == {"bucket": {"key": "secret"}}
    assert [path for path in folder.rglob("credentials*") if not path.is_symlink()] == []

    places = {
        name: entry.get("filepath") or entry["path"] for name, entry in before["catalog"].items() if name[0] != "_"
    }
    own = {name: entry.get("filepath") or entry["path"] for name, entry in trial["catalog"].items()}
    assert own.keys() == places.keys()
    shared = {name for name in own if own[name] == places[name]}
    assert pipelines["sft"].inputs() & set(own) <= shared
    assert {name for name in shared if not name.endswith("latents")} <= pipelines["sft"].inputs()
    assert pipelines["sft"].all_outputs() - shared == {"sft_models", "sft_history", "sft_validation"}
    assert all(own[name] == f"{folder}/{places[name]}" for name in own.keys() - shared)
    handlers = yaml.safe_load(Path(variables["KEDRO_LOGGING_CONFIG"]).read_text())["handlers"]
    assert handlers["file"]["filename"] == f"{folder}/kedro.log"


@pytest.mark.usefixtures("unrequested")
def test_values_that_do_not_go_together_fail_their_trial(project: Path, tmp_path: Path) -> None:
    trials = KedroTrials(project, ["sft"], None, {})
    with pytest.raises(ConfigurationError, match=r"sft.loop: "):
        trials(tmp_path / "trial", {"sft.loop.batch_size": 9, "sft.loop.micro_batch_size": 2})


@pytest.mark.usefixtures("unrequested")
def test_pipelines_that_follow_each_other_stay_in_the_folder(project: Path, tmp_path: Path) -> None:
    KedroTrials(project, ["sft", "rl"], None, {})(tmp_path / "trial", {})
    catalog = read(tmp_path / "trial/conf")["catalog"]
    assert catalog["sft_models"]["filepath"] == f"{tmp_path}/trial/data/06_models/sft"
    assert catalog["backbone"]["filepath"] == "data/06_models/backbone"
