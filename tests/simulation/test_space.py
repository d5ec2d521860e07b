"""The declared space of configurations: what is drawn lies in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.generate import (
    ClipKey,
    build_scene,
    draw_simulation,
)
from phys4d_kedro.simulation.randomization import Choice, Draw, Integer, Range, Uniform
from phys4d_kedro.simulation.scenes import SCENES, Scene
from phys4d_kedro.simulation.space import scene_space

Configure = Callable[..., SimulationConfig]
ROOT = Path(__file__).parents[2]


class TestSpace:
    @pytest.mark.parametrize("name", SCENES)
    def test_every_value_lies_in_its_declared_range(self, name: str) -> None:
        space = scene_space(name)
        for seed in range(1000, 1100):
            draw = Draw(np.random.default_rng(seed))
            SCENES[name].declare(draw)
            assert list(draw.values) == list(draw.space)
            assert set(draw.space) <= set(space)
            for attribute, value in draw.values.items():
                assert lies_in(value, draw.space[attribute]), attribute
                assert lies_in(value, space[attribute]), attribute

    def test_what_is_drawn_only_sometimes_and_from_changing_ranges_is_united(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def declare(draw: Draw) -> Description:
            size = draw.integer("size", 1, 2)
            draw.uniform("speed", size, 2 * size)
            draw.choice("colour", ("red", "blue") if size == 1 else ("blue", "green"))
            if size == 2:
                draw.sign("side")
            return Description(things=[], prompt="", centre=(0.0, 0.0, 0.0), radius=1.0)

        monkeypatch.setitem(SCENES, "changing", Scene("changing", "rigid_bodies", declare))
        space = scene_space("changing")
        colours = space.pop("colour")
        assert space == {"size": Integer(1, 2), "speed": Uniform(1, 4), "side": Integer(0, 1)}
        assert isinstance(colours, Choice)
        assert set(colours.options) == {"red", "blue", "green"}

    def test_a_mixed_declaration_and_an_unknown_scene_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def declare(draw: Draw) -> Description:
            if draw.sign("kind") > 0:
                draw.uniform("odd", 0, 1)
            else:
                draw.choice("odd", ("a", "b"))
            return Description(things=[], prompt="", centre=(0.0, 0.0, 0.0), radius=1.0)

        monkeypatch.setitem(SCENES, "mixed", Scene("mixed", "rigid_bodies", declare))
        with pytest.raises(ConfigurationError, match="scene 'mixed': 'odd' is drawn as"):
            scene_space("mixed")
        with pytest.raises(ConfigurationError, match=r"no scene 'ball_colide'; there are .*ball_collide"):
            scene_space("ball_colide")

    def test_views_remember_camera_and_looks(self, configure: Configure) -> None:
        config, key = configure(), ClipKey("train", 0, 0, 0)
        draw = Draw(key.rng(0, 2, 0))
        build_scene(config, draw_simulation(config, key), draw, key)
        assert {"camera_fov", "ground", "sun_azimuth"} <= set(draw.space)
        assert draw.space["camera_fov"] == Uniform(38, 60)
        assert all(lies_in(value, draw.space[name]) for name, value in draw.values.items())


def lies_in(value: float | str, declared: Range) -> bool:
    """Whether a range holds a value."""
    if isinstance(declared, Choice):
        return value in declared.options
    assert not isinstance(value, str)
    return declared.low <= value <= declared.high and (isinstance(declared, Uniform) or isinstance(value, int))
