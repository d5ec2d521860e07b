"""Frozen lists: the same clips from the same list, named by what they show; a changed simulator is found out."""

from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.simiq.frozen import (
    first_takes,
    freeze,
    load_version,
    second_take,
    simiq_source,
)
from tests.evaluation.simiq.squares import clip_of, frozen_list, square


@pytest.mark.parametrize(("version", "views"), [("nano-1", 3), ("nano-short-1", 2)])
def test_the_shipped_lists_are_whole_and_their_scenarios_differ(version: str, views: int) -> None:
    shipped = load_version(version)
    assert shipped.clips == len(shipped.scenarios) * views * 2
    assert len({scenario.name for scenario in shipped.scenarios}) == len(shipped.scenarios)
    assert shipped.camera.motions == ["static"]
    for scenario in shipped.scenarios:
        shipped.simulation(scenario)  # every scene is known


def test_the_short_list_is_of_scenarios_of_the_long_one() -> None:
    known = {scenario.name: scenario for scenario in load_version("nano-1").scenarios}
    for scenario in load_version("nano-short-1").scenarios:
        assert known[scenario.name] == scenario


def test_an_unknown_version_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no 'nano-0'; there are .*nano-1"):
        load_version("nano-0")


def test_first_takes_and_their_second(tmp_path: Path) -> None:
    clips = [clip_of(square(1.0), "a-0", view, take) for view in range(2) for take in range(2)]
    write_shards(clips, str(tmp_path), clips_per_shard=9)
    firsts = first_takes(ClipStore(str(tmp_path)))
    assert firsts.ids == ["simiq-a-0-v0-t0", "simiq-a-0-v1-t0"]
    assert [second_take(name) for name in firsts.ids] == ["simiq-a-0-v0-t1", "simiq-a-0-v1-t1"]


@pytest.mark.slow
def test_takes_begin_alike_before_a_camera_at_rest_and_go_apart_and_views_differ() -> None:
    listed = freeze(frozen_list("ball_collide"))
    source = simiq_source(listed)
    assert len(source) == 4
    first, second, other = (source.make(index) for index in (0, 1, 2))
    assert [clip.clip_id for clip in (first, second, other)] == [
        "simiq-ball_collide-0-v0-t0",
        "simiq-ball_collide-0-v0-t1",
        "simiq-ball_collide-0-v1-t0",
    ]
    np.testing.assert_array_equal(first.world_from_camera, second.world_from_camera)
    assert np.ptp(first.world_from_camera, axis=0).max() == 0
    assert not np.array_equal(first.world_from_camera, other.world_from_camera)
    assert first.tracks is not None
    assert second.tracks is not None
    apart = np.abs(first.rgb.astype(int) - second.rgb).mean((1, 2, 3))
    assert 0 < apart[0] < 10
    assert source.make(0).content_hash() == first.content_hash()


def test_a_simulator_that_draws_another_configuration_is_found_out() -> None:
    with pytest.raises(ConfigurationError, match=r"SimIQ tiny, ball_collide-0.*freeze a new version"):
        simiq_source(frozen_list("ball_collide")).make(0)


def test_the_fingerprint_covers_the_list() -> None:
    one, other = frozen_list("ball_collide"), frozen_list("ball_ramp")
    prints = [simiq_source(listed).fingerprint for listed in (one, other, one.model_copy(update={"seed": 8}), one)]
    assert len(set(prints)) == 3
    assert prints[0] == prints[3]
