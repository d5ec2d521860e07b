"""Cameras move as they say, and prompts say what is seen."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from phys4d_kedro.geometry.camera import look_at
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.environments import studio
from phys4d_kedro.simulation.generate import ClipKey, make_clip
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import CameraPath, RenderScene
from phys4d_kedro.simulation.scenes import SCENES
from phys4d_kedro.simulation.staging import direction_words, stage

Configure = Callable[..., SimulationConfig]


class TestCamera:
    def cameras(self, configure: Configure, motion: str) -> np.ndarray:
        """Poses (5, 4, 4) of a camera that moves like this."""
        config = configure(scenes=["ball_train"], camera={"motions": [motion]})
        clip = make_clip(config, ClipKey("train", 0, 0, 0))
        assert clip.world_from_camera is not None
        return clip.world_from_camera

    def test_static(self, configure: Configure) -> None:
        poses = self.cameras(configure, "static")
        assert (poses == poses[0]).all()

    def test_orbit_turns_about_what_it_looks_at(self, configure: Configure) -> None:
        poses = self.cameras(configure, "orbit")
        heights = poses[:, 2, 3]
        assert np.ptp(heights) < 1e-9
        forward = poses[:, :2, 2] / np.linalg.norm(poses[:, :2, 2], axis=-1, keepdims=True)
        turns = np.degrees(np.arcsin(np.cross(forward[:-1], forward[1:])))
        assert np.allclose(turns, turns[0])
        assert 10 <= abs(turns.sum()) <= 40

    def test_dolly_comes_closer_along_its_axis(self, configure: Configure) -> None:
        poses = self.cameras(configure, "dolly")
        assert np.allclose(poses[:, :3, :3], poses[0, :3, :3])
        steps = np.diff(poses[:, :3, 3], axis=0)
        assert np.allclose(steps, steps[0])
        assert np.allclose(steps[0] / np.linalg.norm(steps[0]), poses[0, :3, 2])

    @pytest.mark.parametrize(
        ("azimuth", "words"),
        [
            (270, "to the right"),  # the camera looks along +y
            (90, "to the left"),
            (180, "away from the camera"),
            (0, "towards the camera"),
            (225, "to the right and away from the camera"),
            (45, "to the left and towards the camera"),
        ],
    )
    def test_directions_are_those_seen(self, azimuth: float, words: str) -> None:
        around = np.radians(azimuth)
        eye = 3 * np.array([[np.cos(around), np.sin(around), 0.6]])
        path = CameraPath(intrinsics=np.diag([40.0, 40.0, 1.0]), world_from_camera=look_at(eye, np.zeros((1, 3))))
        assert direction_words(path, (1, 0)) == words

    def test_prompts_tell_speed_direction_and_camera(self, configure: Configure) -> None:
        config = configure(scenes=["ball_collide", "ball_ramp", "two_balls_pass", "unstable_block_stack"])
        for index in range(12):
            clip = make_clip(config, ClipKey("train", index, 0, 0))
            values = clip.parameters["configuration"]
            camera = {"static": "Static camera", "orbit": " around the scene", "dolly": " closer"}
            assert camera[values["camera_motion"]] in clip.prompt
            assert clip.world_from_camera is not None
            if values["camera_motion"] == "orbit":
                way = clip.world_from_camera[1, :3, 3] - clip.world_from_camera[0, :3, 3]
                side = "right" if way @ clip.world_from_camera[0, :3, 0] > 0 else "left"
                assert f"around the scene to the {side}" in clip.prompt
            if "speed" in values:
                speed = values["speed"]
                pace = "slowly" if speed < 0.9 else "quickly" if speed > 1.5 else "steadily"
                assert f"rolls {pace}" in clip.prompt
            if values["camera_motion"] != "static":
                continue
            # The thing that the words are about: the topmost block of a stack, else the first.
            assert clip.track_instance is not None
            assert clip.tracks is not None
            first = clip.track_instance == (clip.track_instance.max() if "stack" in clip.scene else 1)
            moved = (clip.tracks[-1] - clip.tracks[0])[first].mean(0)
            for axis, ahead, back in ((0, "to the right", "to the left"), (2, "away from", "towards")):
                said = re.search(f"{ahead}|{back}", clip.prompt)
                if said is not None:
                    assert (moved @ clip.world_from_camera[0, :3, axis] > 0) == (said[0] == ahead), clip.prompt


def staged(name: str) -> RenderScene:
    """The scene as it is rendered, of three frames."""
    description = SCENES[name].declare(Draw(np.random.default_rng(0)))
    rollout = roll_out(description, frames=3, fps=8)
    path = look_at(np.array([[0.0, -3.0, 1.5]] * 3), np.zeros((3, 3)))
    camera = CameraPath(intrinsics=np.diag([40.0, 40.0, 1.0]), world_from_camera=path)
    return stage(description, rollout, camera, Draw(np.random.default_rng(1)))


class TestStage:
    @pytest.mark.parametrize("name", ["ball_ramp", "see_saw", "silk_cover", "wrecking_ball", "heat_spreading"])
    def test_instances_number_what_can_move_in_order(self, name: str) -> None:
        description = SCENES[name].declare(Draw(np.random.default_rng(0)))
        shown = [body.instance for body in staged(name).bodies]
        numbered = [instance for instance in shown if instance]
        assert numbered == sorted(numbered)
        assert set(shown) - {0} == set(range(1, len(description.instances) + 1))

    def test_smoke_comes_after_all_else(self) -> None:
        made = staged("smoke_around_ball")
        (volume,) = made.volumes
        assert volume.instance == 1 + max(body.instance for body in made.bodies)

    def test_a_lamp_goes_over_its_scene(self) -> None:
        directions = np.array(staged("light_on_block").sun.direction)
        assert directions.shape == (3, 3)
        assert directions[0, 0] * directions[2, 0] < 0  # from one side to the other
        assert directions[1, 2] > max(directions[0, 2], directions[2, 2])  # highest in the middle

    def test_indoors_a_studio_lights_the_scene(self) -> None:
        panorama = staged("mirror_ball_fall").sky.panorama
        assert panorama is not None
        assert staged("ball_ramp").sky.panorama is None
        lamps = panorama.max(axis=-1) > 2
        assert 0.01 < lamps.mean() < 0.2
        assert not lamps[panorama.shape[0] // 2 :].any()  # none below the horizon
        one, again, other = (studio(Draw(np.random.default_rng(seed))) for seed in (2, 2, 3))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)


def test_all_scenes_but_those_held_out(configure: Configure) -> None:
    config = configure(scenes="all", unseen={"clips": 2, "scenes": ["pendulum", "dam_break"]})
    assert set(config.scenes) == set(SCENES) - {"pendulum", "dam_break"}
    assert set(configure(scenes="all").scenes) == set(SCENES)
