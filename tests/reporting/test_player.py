"""Players: the truth and the worlds of all stages in one sprite, in the colours of the truth."""

import numpy as np
import pytest

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.player import Player, make_sprite
from phys4d_kedro.reporting.world_players import world_player, world_players


def test_worlds_are_beside_their_truth_in_its_colours(heldout: ClipStore) -> None:
    truth = heldout[0]
    assert truth.depth is not None
    player = world_player(truth, {"stage1": truth, "rl": truth.with_(depth=truth.depth * 1.5)})
    assert list(player.groups) == ["truth", "video model", "+ stage 3"]
    assert [list(group) for group in player.groups.values()] == [["RGB", "depth", "motion"]] * 3
    assert player.frames == truth.frames - 1
    np.testing.assert_array_equal(player.groups["truth"]["RGB"], truth.rgb[:-1])
    for name in ("RGB", "depth", "motion"):
        np.testing.assert_array_equal(player.groups["video model"][name], player.groups["truth"][name])
    assert player.groups["+ stage 3"]["depth"].mean() < player.groups["truth"]["depth"].mean()  # farther is darker
    sprite = make_sprite(player)
    assert sprite.shape == (4 * 16, 9 * 16, 3)
    np.testing.assert_array_equal(sprite[16:32, 7 * 16 : 8 * 16], player.groups["+ stage 3"]["depth"][1])


def test_players_are_of_the_first_clips_that_have_worlds(heldout: ClipStore, worlds: ClipStore) -> None:
    players = list(world_players(worlds, heldout, 2))
    assert [player.clip_id for player in players] == heldout.ids[:2]
    assert [list(player.groups) for player in players] == [["truth", "video model", "+ stages 1-2"]] * 2
    np.testing.assert_array_equal(players[1].groups["+ stages 1-2"]["RGB"], heldout[1].rgb[::-1][:-1])
    assert len(list(world_players(worlds, heldout, 99))) == 3


def test_a_world_needs_depth_and_motion(heldout: ClipStore, real: ClipStore) -> None:
    with pytest.raises(MissingAnnotationError, match="'v0'"):
        world_player(heldout[0], {"sft": real[0]})


def test_large_pictures_are_averaged_down_for_the_page() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 300, 400, 3), np.uint8)
    player = Player(clip_id="c", scene="", prompt="", fps=8, groups={"a": {"": frames}}, note="")
    sprite = make_sprite(player)
    assert sprite.shape == (2 * 100, 133, 3)
    assert abs(int(sprite[0, 0, 0]) - frames[0, :3, :3, 0].mean()) <= 0.5
