"""The environments of the published backbones: their configuration is valid, and its sizes fit the models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.evaluation.simiq.frozen import load_version

# Pixels of a token's edge, and the frames that fit, by the models' published configurations.
ENVIRONMENTS = {"wan22-5b": (32, (4, 1)), "cogvideox-5b": (16, (8, 1)), "opensora-v12": (16, (17, 0))}
CODE = """
import json, sys
from pathlib import Path
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
found = {}
for environment in sys.argv[1:]:
    context = KedroSession.create(env=environment).load_context()
    catalog = context.catalog  # made anew each time
    datasets = {name: catalog.get(name) for name in list(catalog)}
    nano = [pipelines[name] for name in ("backbone", "depth_estimator", "gallery", "recording")]
    models = {key: value for key, value in context.params.items() if hasattr(value, "model_dump")}
    described = {name: dataset._describe() for name, dataset in datasets.items()}
    paths = {name: str(facts.get("filepath") or facts.get("path") or "") for name, facts in described.items()}
    paths = {name: path for name, path in paths.items() if path}
    found[environment] = {
        "backbone": [type(datasets["backbone"]).__name__, *datasets["backbone"]._describe().values()],
        "clip": dict(context.config_loader["globals"]["clip"]),
        "parameters": {key: model.model_dump(mode="json") for key, model in models.items()},
        "paths": paths,
        "caches": [name for name, dataset in datasets.items() if type(dataset).__name__ == "LatentCacheDataset"],
        "nano": [name for pipeline in nano for name in pipeline.all_outputs()],
    }
print(json.dumps(found))
"""


def folder_of(environment: str) -> str:
    """What its folders are called, beside those of the default run."""
    return environment.replace("-", "_")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What Kedro makes of each environment, and of the base one; a wrong parameter or dataset fails here."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", CODE, "base", *ENVIRONMENTS]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
class TestEnvironment:
    def test_its_backbone_is_pretrained(self, found: dict[str, Any], environment: str) -> None:
        kind, source = found[environment]["backbone"]
        assert kind == "PretrainedModelDataset"
        assert source.count("/") >= 1

    def test_its_clips_fit_the_backbone(self, found: dict[str, Any], environment: str) -> None:
        pixels, (step, rest) = ENVIRONMENTS[environment]
        clip = found[environment]["clip"]
        assert clip["height"] % pixels == clip["width"] % pixels == 0
        assert clip["frames"] % step == rest
        assert found[environment]["parameters"]["simulation"]["frames"] == clip["frames"]

    def test_its_precision_and_heads_are_for_large_models(self, found: dict[str, Any], environment: str) -> None:
        parameters = found[environment]["parameters"]
        assert parameters["world_model"]["dtype"] == parameters["pretrain"]["loop"]["precision"] == "bf16"
        assert parameters["world_model"]["gradient_checkpointing"]
        pixels = ENVIRONMENTS[environment][0]
        assert pixels / parameters["pretrain"]["dpt_head"]["cells"] == 8
        assert parameters["pretrain"]["checkpoint_dir"] != found["base"]["parameters"]["pretrain"]["checkpoint_dir"]

    def test_what_it_makes_lies_in_folders_of_its_own(self, found: dict[str, Any], environment: str) -> None:
        """But what is keyed by content, and what no pipeline of a large model makes."""
        own = found[environment]
        elsewhere = {name for name, path in own["paths"].items() if f"/{folder_of(environment)}/" not in path}
        assert elsewhere <= {*own["caches"], *own["nano"]}
        assert not {"heads", "simiq_worlds", "comparison_videos", "labeled_clips_quality"} & elsewhere
        parameters = own["parameters"]
        videos = parameters["physics_iq"]["generated_dir"]
        assert videos == parameters["physics_iq_generation"]["generated_dir"]
        assert all(f"/{folder_of(environment)}/" in path for path in (videos, parameters["physics_iq"]["output"]))

    def test_its_simiq_is_of_its_size_and_of_the_scenarios_of_nano_1(
        self, found: dict[str, Any], environment: str
    ) -> None:
        own = found[environment]
        version = load_version(own["parameters"]["simiq"]["version"])
        assert version.model_dump(include={"height", "width", "frames", "fps"}) == own["clip"]
        names = [scenario.name for scenario in version.scenarios]
        assert names == [scenario.name for scenario in load_version("nano-1").scenarios]
        assert own["parameters"]["simiq"]["sampling"] == own["parameters"]["generation"]["sampling"]


def test_the_default_is_small_and_exact(found: dict[str, Any]) -> None:
    assert found["base"]["backbone"][0] == "ModelDirectoryDataset"
    assert found["base"]["parameters"]["world_model"]["dtype"] == "fp32"
