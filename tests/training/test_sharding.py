"""Frozen weights shared out over two real processes: the same losses, gradients and samples as of the whole model."""

import json
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.training.launch import Job, launch
from phys4d_kedro.training.launch_config import LaunchConfig
from tests.world_model.families import FORMS

# Relative tolerances. Parts of weights lie elsewhere in memory once put together, so sums are rounded differently.
CASES = {"Wan 2.2 TI2V, fp32": 2e-6, "CogVideoX I2V, fp32": 2e-6, "Open-Sora, fp32": 2e-6, "Wan 2.2 TI2V, bf16": 0.05}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folders: dict[str, Path] = {}
    for form in FORMS:
        if f"{form.name}, fp32" in CASES:
            folders[form.name] = tmp_path_factory.mktemp("form")
            form.build(folders[form.name])
    results = tmp_path_factory.mktemp("results")
    arguments = {"folders": {case: str(folders[case.partition(", ")[0]]) for case in CASES}, "results": str(results)}
    launch(Job("tests.training.launch_sharding:compare", arguments), LaunchConfig(processes=2))
    return [json.loads((results / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_shared_transformer_computes_as_the_whole_one_and_holds_half(found: list[dict[str, Any]], case: str) -> None:
    of_ranks = [of_cases[case] for of_cases in found]
    for one in of_ranks:
        assert one["same_objects"]
        assert one["smallest_gradient"] > 0
        assert one["difference"] < CASES[case]
        assert one["of_samples"] < CASES[case]
    frozen = of_ranks[0]["whole"] - of_ranks[0]["adapter"]
    shares = [one["held"] - one["adapter"] for one in of_ranks]
    assert sum(shares) == frozen
    assert max(shares) < 0.6 * frozen  # small weights are not split evenly: one row stays in one process
