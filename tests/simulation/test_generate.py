"""Clips of every scene: deterministic, distinct, in view, and with annotations that agree with each other."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.description import Description, Part, Thing
from phys4d_kedro.simulation.generate import ClipKey, draw_simulation, make_clip, simulation_source
from phys4d_kedro.simulation.randomization import Draw, draw_substance
from phys4d_kedro.simulation.rendering.scene import Sphere
from phys4d_kedro.simulation.scenes import SCENES, Scene

Configure = Callable[..., SimulationConfig]
NAMES = list(SCENES)
ROOT = Path(__file__).parents[2]


class TestDeterminism:
    def test_same_key_same_clip_in_any_process(self, configure: Configure) -> None:
        config, key = configure(), ClipKey("train", 3, 0, 1)
        here = make_clip(config, key)
        assert make_clip(config, key).content_hash() == here.content_hash()
        code = (
            "import sys; from phys4d_kedro.simulation.config import SimulationConfig;"
            "from phys4d_kedro.simulation.generate import ClipKey, make_clip;"
            "config = SimulationConfig.model_validate_json(sys.argv[1]);"
            "print(make_clip(config, ClipKey('train', 3, 0, 1)).content_hash())"
        )
        command = [sys.executable, "-c", code, config.model_dump_json()]
        there = subprocess.run(command, capture_output=True, text=True, check=True)
        assert there.stdout.split()[-1] == here.content_hash()

    def test_seed_decides(self, configure: Configure) -> None:
        key = ClipKey("train", 0, 0, 0)
        first, second = (make_clip(configure(seed=seed), key) for seed in (0, 1))
        assert first.parameters["configuration_hash"] != second.parameters["configuration_hash"]
        assert first.content_hash() != second.content_hash()

    def test_fingerprint_follows_what_decides_the_content(self, configure: Configure) -> None:
        first = simulation_source(configure(), "train").fingerprint
        assert simulation_source(configure(), "train").fingerprint == first
        assert simulation_source(configure(quality={"min_clips": 5}), "train").fingerprint == first
        assert simulation_source(configure(heldout={"clips": 3}), "train").fingerprint == first
        changed = [
            simulation_source(configure(), "heldout"),
            simulation_source(configure(seed=1), "train"),
            simulation_source(configure(height=48), "train"),
            simulation_source(configure(train={"clips": 9, "views": 2}), "train"),
            simulation_source(configure(camera={"elevation": [10, 46]}), "train"),
        ]
        assert len({first, *(source.fingerprint for source in changed)}) == 1 + len(changed)

    def test_redraws_are_counted_and_repeat(self, configure: Configure) -> None:
        # So close that most cameras miss something.
        config = configure(scenes=["two_balls_pass", "ball_in_basket"], camera={"distance": [0.5, 1.0]})
        keys = [ClipKey("train", index, 0, 0) for index in range(6)]
        counts = [make_clip(config, key).parameters["redraws"] for key in keys]
        assert sum(counts) > 0
        assert [make_clip(config, key).parameters["redraws"] for key in keys] == counts


class TestSplits:
    def test_configurations_are_unique_and_splits_disjoint(self) -> None:
        # Only declared: what can be simulated among them is a subset.
        hashes = []
        for split in ("train", "heldout"):
            for simulation in range(400):
                draw = Draw(ClipKey(split, simulation, 0, 0).rng(0, 0, 0))
                SCENES[NAMES[simulation % len(NAMES)]].declare(draw)
                hashes.append(draw.configuration_hash())
        assert len(set(hashes)) == 800

    def test_ids_are_unique_and_scenes_take_turns(self, configure: Configure) -> None:
        config = configure(train={"clips": 80, "views": 2, "takes": 2}, heldout={"clips": 20})
        train, heldout = (simulation_source(config, split).clip_ids for split in ("train", "heldout"))
        assert len({*train, *heldout}) == 100
        assert train[:5] == [
            *(f"train-ball_collide-000000-{name}" for name in ("v0-t0", "v0-t1", "v1-t0", "v1-t1")),
            "train-ball_ramp-000001-v0-t0",
        ]
        assert {name.split("-")[1] for name in heldout} == set(NAMES)


class TestViewsAndTakes:
    @pytest.fixture(scope="class")
    def four(self, configure: Configure) -> dict[str, Clip]:
        """Two views of two takes of a ball collision."""
        config = configure(scenes=["ball_collide"], train={"clips": 4, "views": 2, "takes": 2}, track_points=32)
        source = simulation_source(config, "train")
        return {source.clip_ids[index][-5:]: source.make(index) for index in range(4)}

    def test_views_share_the_simulation(self, configure: Configure, four: dict[str, Clip]) -> None:
        first, second = four["v0-t0"], four["v1-t0"]
        for key in ("configuration_hash", "simulation"):
            assert first.parameters[key] == second.parameters[key]
        assert first.parameters["configuration"]["ground"] == second.parameters["configuration"]["ground"]
        assert first.world_from_camera is not None
        assert second.world_from_camera is not None
        assert np.abs(first.world_from_camera - second.world_from_camera).max() > 0.1
        config = configure(scenes=["ball_collide"])
        rollouts = [draw_simulation(config, ClipKey("train", 0, view, 0)).rollout.poses for view in (0, 1)]
        assert np.array_equal(*rollouts)
        # Both cameras' points lie on the very same balls.
        for clip in (first, second):
            assert clip.tracks is not None
            assert clip.track_instance is not None
            centres = rollouts[0][..., :3, 3][:, clip.track_instance.astype(int) - 1]
            radii = np.linalg.norm(clip.tracks - centres, axis=-1)
            names = np.array(["radius", "other_radius"])[clip.track_instance.astype(int) - 1]
            expected = [first.parameters["configuration"][name] for name in names]
            assert np.abs(radii - expected).max() < 1e-4

    def test_takes_share_configuration_and_camera(self, four: dict[str, Clip]) -> None:
        for view in ("v0", "v1"):
            first, second = four[f"{view}-t0"], four[f"{view}-t1"]
            assert np.array_equal(first.world_from_camera, second.world_from_camera)  # type: ignore[arg-type]
            assert first.parameters["configuration"] == second.parameters["configuration"]
            assert first.prompt == second.prompt
            assert not np.array_equal(first.rgb, second.rgb)

    @pytest.mark.parametrize("name", NAMES)
    def test_second_take_starts_beside_the_first(self, configure: Configure, name: str) -> None:
        config = configure(scenes=[name], take_perturbation=0.005)
        for index in range(3):
            first, second = (draw_simulation(config, ClipKey("train", index, 0, take)) for take in (0, 1))
            assert first.draw.values == second.draw.values
            assert np.array_equal(first.rollout.poses, second.first_take.poses)
            moves = [not first.description.things[thing].fixed for thing in first.rollout.thing_of_part]
            apart = (second.rollout.poses - first.rollout.poses)[:, moves]
            assert np.abs(apart[0, :, 2, 3]).max() == 0
            distance = np.linalg.norm(apart[0, :, :3, 3], axis=-1)
            assert (distance > 0).all()
            assert distance.max() < 5 * 0.005
            assert np.abs(apart[-1]).max() > 0


@pytest.mark.parametrize("name", NAMES)
class TestEveryScene:
    def test_whole_clip(self, clips: dict[str, Clip], name: str) -> None:
        clip = clips[name]  # made, so valid and consistent (check_consistency)
        clip.require("depth", "motion", "segmentation", "intrinsics", "world_from_camera", "tracks")
        assert clip.category == SCENES[name].category
        assert clip.source == "simulation"
        assert clip.seed == 0
        assert clip.prompt[0].isupper()
        assert clip.prompt.endswith(".")
        assert "{" not in clip.prompt

    def test_everything_that_can_move_is_in_the_first_frame(self, clips: dict[str, Clip], name: str) -> None:
        segmentation = clips[name].segmentation
        assert segmentation is not None
        seen, pixels = np.unique(segmentation[0], return_counts=True)
        assert seen.tolist() == list(range(int(segmentation.max()) + 1))
        assert pixels.min() >= 3

    def test_moves_unless_it_stands(self, clips: dict[str, Clip], name: str) -> None:
        tracks = clips[name].tracks
        assert tracks is not None
        travelled = np.linalg.norm(tracks[-1] - tracks[0], axis=-1).max()
        assert travelled < 0.03 if name == "stable_blocks" else travelled > 0.1


class TestErrors:
    @pytest.fixture
    def overlapping(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """A registered scene whose every configuration starts with two balls in each other."""

        def declare(draw: Draw) -> Description:
            substance = draw_substance(draw, "ball", size=0.2)
            balls = [
                Thing(name=f"ball_{k}", substance=substance, parts=[Part(shape=Sphere(radius=0.1))], position=at)
                for k, at in enumerate([(0.0, 0.0, 0.1), (0.1, 0.0, 0.1)])
            ]
            return Description(things=balls, prompt="", centre=(0.0, 0.0, 0.0), radius=0.5)

        monkeypatch.setitem(SCENES, "overlapping", Scene("overlapping", "rigid_bodies", declare))
        return "overlapping"

    def test_a_scene_that_cannot_be_simulated_is_named(self, configure: Configure, overlapping: str) -> None:
        config = configure(scenes=[overlapping])
        with pytest.raises(ConfigurationError, match=r"scene 'overlapping': .*50 tries, the last: .*overlap by 100 mm"):
            make_clip(config, ClipKey("train", 0, 0, 0))

    def test_a_scene_that_stays_still_is_named(self, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
        def declare(draw: Draw) -> Description:
            return replace(SCENES["stable_blocks"].declare(draw), at_rest=False)

        monkeypatch.setitem(SCENES, "still", Scene("still", "rigid_bodies", declare))
        with pytest.raises(ConfigurationError, match=r"scene 'still': .*nothing moves"):
            make_clip(configure(scenes=["still"]), ClipKey("train", 0, 0, 0))

    def test_cameras_that_see_nothing_are_named(self, configure: Configure) -> None:
        config = configure(height=16, width=16, samples=1, scenes=["two_balls_pass"], camera={"distance": [0.05, 0.1]})
        with pytest.raises(ConfigurationError, match=r"scene 'two_balls_pass': no camera .*the first frame shows too"):
            make_clip(config, ClipKey("train", 0, 0, 0))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"scenes": ["ball_colide"]}, "no scenes ball_colide; there are ball_collide, ball_ramp"),
            ({"camera": {"motions": ["zoom"]}}, "camera.motions.0\n.*'static', 'orbit' or 'dolly'"),
            ({"camera": {"distance": [2, 1]}}, r"camera.distance\n.*the lower bound comes first; write \[1.0, 2.0\]"),
            ({"camera": {"elevation": [-5, 20]}}, "camera.elevation.0\n.*greater than or equal to 1"),
            ({"frames": 16}, "frames\n.*1 \\+ 4k"),
            ({"train": {"clips": 1, "takes": 3}}, "train.takes\n"),
            ({"seed": -1}, "seed\n"),
            ({"sample": 4}, "sample\n.*Extra inputs"),
        ],
    )
    def test_wrong_parameters_say_what_is_allowed(self, configure: Configure, changes: dict, message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            configure(**changes)


def test_the_example_of_the_documentation_works(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/simulation.md").read_text(), re.DOTALL)
    assert example is not None
    monkeypatch.setitem(SCENES, "sliding_block", SCENES[NAMES[0]])  # so that it is taken out again
    exec(example[1], {})
    clip = make_clip(configure(scenes=["sliding_block"]), ClipKey("train", 0, 0, 0))
    assert clip.scene == "sliding_block"
    assert re.search(r"block slides \w+ (to|away|towards)", clip.prompt)
