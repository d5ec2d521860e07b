"""What prompts promise happens: scenes whose outcome is not obvious, over several configurations."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.solvers.world import World

Poses = NDArray[np.float64]


def watched(name: str, seed: int, seconds: float) -> tuple[Description, dict[str, Poses]]:
    """Poses (T, 4, 4) of every thing, 50 a second."""
    description = SCENES[name].declare(Draw(np.random.default_rng(seed)))
    world = World(description)
    frames = []
    for step in range(0, round(seconds / world.timestep), round(0.02 / world.timestep)):
        world.advance_to(step)
        frames.append(world.thing_poses())
    poses = np.array(frames)
    return description, {thing.name: poses[:, index] for index, thing in enumerate(description.things)}


def swing(poses: Poses) -> float:
    """The longest way along x."""
    return float(np.abs(poses[:, 0, 3] - poses[0, 0, 3]).max())


def lean(poses: Poses) -> NDArray[np.float64]:
    """Degrees between a thing's z axis and the vertical."""
    return np.degrees(np.arccos(np.clip(poses[:, 2, 2], -1, 1)))


@pytest.mark.parametrize("seed", range(4))
class TestOutcomes:
    @pytest.mark.parametrize(("name", "lifted"), [("single_cradle", 1), ("double_cradle", 2)])
    def test_as_many_balls_leave_a_cradle_as_hit_it(self, name: str, lifted: int, seed: int) -> None:
        _, things = watched(name, seed, 1.0)
        ways = [swing(things[f"ball_{k}"]) for k in range(5)]
        leaving = ways[:lifted] + ways[5 - lifted :]
        resting = ways[lifted : 5 - lifted]
        assert min(leaving) > 0.8 * max(leaving)
        assert max(resting) < 0.15 * max(leaving)

    def test_blocks_beyond_the_gap_stand(self, seed: int) -> None:
        description, things = watched("dominos_with_space", seed, 2.0)
        blocks = [lean(things[f"block_{k}"]) for k in range(len(description.things))]
        fallen = [tilt[-1] > 45 for tilt in blocks]
        assert fallen[:3] == [True] * 3
        assert fallen[-2:] == [False] * 2

    def test_the_last_domino_moves_the_duck(self, seed: int) -> None:
        _, things = watched("duck_and_dominos", seed, 2.0)
        duck = things["duck"]
        assert np.linalg.norm(duck[-1, :3, 3] - duck[0, :3, 3]) > 0.005

    def test_a_door_opens(self, seed: int) -> None:
        _, things = watched("hinge_door", seed, 2.0)
        assert np.degrees(np.arccos(np.clip(things["door"][:, 0, 0], -1, 1))).max() > 15

    def test_a_see_saw_throws(self, seed: int) -> None:
        _, things = watched("see_saw", seed, 2.0)
        block = things["block"]
        assert block[:, 2, 3].max() > block[0, 2, 3] + 0.1

    def test_a_lowered_block_stays_on_the_ground(self, seed: int) -> None:
        _, things = watched("grabber_lowers_block", seed, 2.6)
        block, grabber = things["block"][:, 2, 3], things["grabber"][:, 2, 3]
        assert block[-1] < block[0] - 0.35
        assert grabber[-1] > grabber.min() + 0.1

    def test_a_magnet_pushes_a_domino_over_without_touching_it(self, seed: int) -> None:
        description, things = watched("magnet_domino", seed, 2.0)
        apart = things["magnet"][:, 0, 3] - things["driver"][:, 0, 3]
        tilted = lean(things["magnet"]) > 15
        assert tilted.any()
        assert apart[: int(np.argmax(tilted))].min() > 0.2
        assert lean(things[f"block_{len(description.things) - 3}"])[-1] > 30

    def test_a_wrench_snaps_on_to_a_magnet(self, seed: int) -> None:
        _, things = watched("magnet_wrench", seed, 2.0)
        gap = np.linalg.norm(things["magnet"][:, :3, 3] - things["wrench"][:, :3, 3], axis=-1)
        assert gap[-1] < gap[0] - 0.1
        assert np.ptp(gap[-10:]) < 0.01

    def test_magnets_meet(self, seed: int) -> None:
        description, things = watched("magnets_attract", seed, 2.0)
        (part,) = description.things[0].parts
        gap = np.linalg.norm(things["ball_0"][:, :3, 3] - things["ball_1"][:, :3, 3], axis=-1)
        assert gap[-1] == pytest.approx(2 * part.shape.radius, abs=0.01)  # type: ignore[union-attr]

    def test_a_stack_is_knocked_down(self, seed: int) -> None:
        _, things = watched("wrecking_ball", seed, 2.0)
        assert max(swing(things[name]) for name in things if name.startswith("block")) > 0.3

    def test_a_marble_reaches_a_lower_board(self, seed: int) -> None:
        _, things = watched("marble_run", seed, 2.1)
        height = things["marble"][:, 2, 3]
        assert height[-1] < height[0] - 0.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["ball_in_hammock", "ball_on_sponge"])
def test_a_ball_stays_on_what_gives_way(name: str, seed: int) -> None:
    """Until after it was deepest in: it never gets through."""
    description = SCENES[name].declare(Draw(np.random.default_rng(seed)))
    rollout = roll_out(description, frames=9, fps=8)
    ball = rollout.poses[:, rollout.thing_of_part.index(len(description.things) - 1), :3, 3]
    for place, vertices in zip(ball, rollout.surfaces[0].surface.vertices, strict=True):
        under = vertices[np.linalg.norm(vertices[:, :2] - place[:2], axis=1) < 0.08]
        assert len(under) == 0 or place[2] > np.median(under[:, 2])


def test_helpers_measure_what_they_say() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[1, 0, 3], poses[2, :3, :3] = -0.5, np.diag([1, -1, -1])
    assert swing(poses) == 0.5
    np.testing.assert_allclose(lean(poses), [0, 0, 180])
