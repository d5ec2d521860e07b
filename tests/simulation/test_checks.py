"""Impossible configurations and cameras are refused, by name, and never become clips."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.checks import check_motion, check_view
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.description import Description, Matter, Part, Thing
from phys4d_kedro.simulation.generate import ClipKey, make_clip
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Substance
from phys4d_kedro.simulation.rendering.renderer import RenderOutput
from phys4d_kedro.simulation.rendering.scene import Material, Sphere
from phys4d_kedro.simulation.scenes import SCENES, Scene

from .conftest import Configure

STUFF = Substance(words="grey", density=1000.0, friction=0.5, restitution=0.5, material=Material())


def ball(name: str, **fields: Any) -> Thing:
    given = {"position": (0.0, 0.0, 0.1)} | fields
    return Thing(name=name, substance=STUFF, parts=[Part(shape=Sphere(radius=0.1))], **given)


def described(*things: Thing, **fields: Any) -> Description:
    return Description(**{"things": things, "prompt": "", "centre": (0, 0, 0), "radius": 1.0} | fields)


def image(*instances: int, nearest: float = 1.0, pixels: int = 100) -> RenderOutput:
    """A frame of 100 x 100 whose first pixels, `pixels` each, show the instances."""
    segmentation = np.zeros((1, 100, 100), np.uint16)
    for number, instance in enumerate(instances):
        segmentation.reshape(-1)[number * pixels : (number + 1) * pixels] = instance
    return RenderOutput(
        rgb=np.zeros((1, 100, 100, 3), np.uint8),
        depth=np.full((1, 100, 100), nearest, np.float32),
        motion=np.zeros((0, 100, 100, 3), np.float32),
        motion_valid=np.zeros((0, 100, 100), bool),
        segmentation=segmentation,
    )


class TestMotion:
    def test_nothing_moves(self) -> None:
        resting = described(ball("ball"))
        with pytest.raises(BadDrawError, match="nothing moves"):
            check_motion(resting, roll_out(resting, frames=5, fps=8))
        check_motion(replace(resting, at_rest=True), roll_out(resting, frames=5, fps=8))

    def test_what_should_stand_moves(self) -> None:
        falling = described(ball("ball", position=(0.0, 0.0, 1.0)), at_rest=True)
        with pytest.raises(BadDrawError, match=r"what should stand still moves by 0\.89 m"):
            check_motion(falling, roll_out(falling, frames=9, fps=8))

    def test_turning_on_the_spot_is_motion(self) -> None:
        turning = described(ball("ball", position=(0.0, 0.0, 0.1001), spin=(0.0, 0.0, 4.0)))
        rollout = roll_out(turning, frames=5, fps=8)
        assert rollout.travel() < 0.02
        assert 0.3 < rollout.turn() < math.pi
        check_motion(turning, rollout)


class TestView:
    def test_inside_a_thing(self) -> None:
        with pytest.raises(BadDrawError, match="inside a thing"):
            check_view(described(ball("ball")), image(1, nearest=0.05))

    def test_hidden_things_are_named(self) -> None:
        scene = described(ball("first"), ball("second"), ball("wall", fixed=True))
        check_view(scene, image(1, 2))
        with pytest.raises(BadDrawError, match="too little of second") as caught:
            check_view(scene, image(1))
        assert caught.value.kind == "the first frame shows too little"
        check_view(replace(scene, unseen=["second"]), image(1))

    def test_all_too_small(self) -> None:
        with pytest.raises(BadDrawError, match="too little of first, second"):
            check_view(described(ball("first"), ball("second")), image(1, 2, pixels=10))

    def test_what_is_poured_later_need_not_show(self) -> None:
        jet = Matter(name="jet", words="water", kind="liquid", material=Material())
        check_view(described(ball("ball"), matter=[jet]), image(1))


def scene_of(description: Description) -> Scene:
    return Scene("made_up", "rigid_bodies", lambda draw: replace(description, prompt=str(draw.uniform("a", 0, 1))))


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (described(ball("one"), ball("two", position=(0.05, 0.0, 0.1))), "things overlap at the start by 150 mm"),
        (described(ball("ball", position=(0.0, 0.0, 0.5), velocity=(0.0, 0.0, -1e12))), "the solver became unstable"),
        (described(ball("ball")), "nothing moves"),
        (described(ball("ball", position=(40.0, 0.0, 0.5))), "the first frame shows too little of ball"),
    ],
)
def test_a_scene_that_is_always_bad_stops_the_run(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, description: Description, reason: str
) -> None:
    monkeypatch.setitem(SCENES, "made_up", scene_of(description))
    config: SimulationConfig = configure(scenes=["made_up"])
    with pytest.raises(ConfigurationError, match=f"scene 'made_up': .* 50 tries, the last: {reason}"):
        make_clip(config, ClipKey("train", 0, 0, 0))
