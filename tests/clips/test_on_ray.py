"""A Ray cluster of two nodes on this machine: the clips of one process, also when processes and nodes are lost."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.clips.on_ray import _map_in, map_on_ray
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.errors import ConfigurationError, LaunchError
from phys4d_kedro.perception.config import (
    ConsistencyConfig,
    DepthConfig,
    FlowConfig,
    PseudoLabelConfig,
)
from phys4d_kedro.perception.nano_depth_anything import build_model, save_model
from phys4d_kedro.perception.pseudo_labels import pseudo_label_source
from phys4d_kedro.simulation.generate import simulation_source
from tests.clips.conftest import contents
from tests.clips.ray_tasks import failing, killed_at, node_of
from tests.perception.tiny_depth import TINY_DEPTH
from tests.simulation.conftest import configure_simulation

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one processor each; this process is on the first."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(str(ROOT / name) for name in ("src", "tests", ".")))
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_worker_niceness", "0")  # by default 15: beside other tests it would hardly run
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        environment.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def test_simulated_and_labelled_clips_are_those_of_one_process(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the depth model is named by a relative path, as in conf/
    save_model(build_model(TINY_DEPTH, seed=0), Path("model"))
    simulated = simulation_source(configure_simulation(scenes=["ball_collide"], train={"clips": 4}), "train")
    write_shards(simulated, "simulated/alone", clips_per_shard=2)
    labels = pseudo_label_source(
        [ClipStore("simulated/alone")],
        PseudoLabelConfig(
            flow=FlowConfig(),
            depth=DepthConfig(model="model"),
            consistency=ConsistencyConfig(alignment="none", prior=0, smoothing_passes=0),
        ),
    )
    write_shards(labels, "labelled/alone", clips_per_shard=2)
    for name, source in (("simulated", simulated), ("labelled", labels)):
        ClipShardsDataset(filepath=f"{name}/ray", clips_per_shard=2, jobs=-1, backend="ray").save(source)
        alone = contents(tmp_path / name / "alone")
        assert len([file for file in alone if file.endswith(".tar")]) == 2
        assert contents(tmp_path / name / "ray") == alone


def test_both_nodes_work_and_results_keep_their_order(cluster: Any) -> None:
    tasks, nodes = zip(*map_on_ray(node_of, range(10), jobs=-1), strict=True)
    assert tasks == tuple(range(10))
    assert len(set(nodes)) == 2


def test_tasks_are_taken_as_they_are_needed(cluster: Any) -> None:
    results = map_on_ray(abs, count(), jobs=1, together=3)
    assert [next(results) for _ in range(7)] == list(range(7))
    results.close()  # type: ignore[attr-defined]


def test_killed_process_is_survived(cluster: Any, tmp_path: Path, source: ClipSource) -> None:
    write_shards(source, str(tmp_path / "alone"), clips_per_shard=2)
    interrupted = ClipSource(count=7, fingerprint="v1", make=partial(killed_at, tmp_path, 1), description="Spheres")
    write_shards(interrupted, str(tmp_path / "ray"), clips_per_shard=2, jobs=2, backend="ray")
    assert (tmp_path / "killed_0").exists()
    assert contents(tmp_path / "ray") == contents(tmp_path / "alone")


def test_clip_that_always_kills_its_process_is_named_and_running_again_goes_on(cluster: Any, tmp_path: Path) -> None:
    source = ClipSource(count=7, fingerprint="v1", make=partial(killed_at, tmp_path, 4), description="Spheres")
    folder = tmp_path / "set"
    with pytest.raises(LaunchError, match=r"lost the process of task 3 4 times.*(?s:.)*running again goes on"):
        write_shards(source, str(folder), clips_per_shard=2, jobs=1, backend="ray")
    assert sorted(path.name for path in folder.rglob("*.tar")) == ["shard-000000.tar"]
    write_shards(source, str(folder), clips_per_shard=2, jobs=1, backend="ray")
    assert len(ClipStore(str(folder))) == 7


def test_errors_come_as_themselves(cluster: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^task 1 is wrong$"):
        list(map_on_ray(failing, [0, 1], jobs=1))
    with pytest.raises(ZeroDivisionError, match="failing"):  # with the traceback of where it was
        list(map_on_ray(failing, [0, 2], jobs=1))


def test_machine_without_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"machine \S+ of the Ray cluster cannot enter {tmp_path}/absent"):
        _map_in(str(tmp_path / "absent"), abs, [1])


def test_lost_node_is_survived(cluster: Any) -> None:
    other = next(iter(cluster.worker_nodes))
    results = map_on_ray(node_of, range(12), jobs=-1)
    found = [next(results)]
    cluster.remove_node(other)
    found += results
    assert [task for task, _ in found] == list(range(12))
