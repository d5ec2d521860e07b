"""Distributions of attributes: all that scenes declare, in its ranges, as likely as declared."""

from pathlib import Path

import numpy as np
import pytest
from kedro.config import OmegaConfigLoader

from phys4d_kedro.reporting.distributions import Attribute, collect_attributes, collect_looks, draw_distributions
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.randomization import COLOURS, Choice, Integer, Uniform

CONF = Path(__file__).parents[2] / "conf"
NAMES = ["ball_collide", "block_domino", "pendulum"]


def by_name(attributes: list[Attribute]) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


@pytest.fixture(scope="module")
def attributes() -> list[Attribute]:
    return collect_attributes(NAMES, draws=400, seed=0)


def test_attributes_of_things_are_gathered(attributes: list[Attribute]) -> None:
    colour = by_name(attributes)["colour"]
    assert colour.scenes == 3
    assert colour.ranges == [Choice(tuple(COLOURS))]
    assert len(colour.values) >= 4 * 400  # of two balls, a weight and its frame, and dominoes


def test_ranges_of_scenes_stay_apart(attributes: list[Attribute]) -> None:
    radius = by_name(attributes)["radius"]
    assert radius.scenes == 2
    assert len(radius.ranges) == 2


def test_what_is_drawn_lies_in_the_ranges(attributes: list[Attribute]) -> None:
    for attribute in attributes:
        for value in attribute.values:
            inside = [
                str(value) in declared.options
                if isinstance(declared, Choice)
                else declared.low <= value <= declared.high  # type: ignore[operator]
                for declared in attribute.ranges
            ]
            assert any(inside), (attribute.name, value)


def test_a_number_is_as_likely_anywhere_in_its_range(attributes: list[Attribute]) -> None:
    density = by_name(attributes)["density"]
    assert density.ranges == [Uniform(0.85, 1.15)]
    counts, _ = np.histogram(np.asarray(density.values, dtype=float), bins=10, range=(0.85, 1.15))
    expected = len(density.values) / 10
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_orders_of_magnitude_are_told_apart() -> None:
    # Balls that roll at metres a second and platforms that turn at degrees a second.
    speeds = [
        one for one in collect_attributes(["ball_collide", "teapot_rotates"], draws=5, seed=0) if one.name == "speed"
    ]
    assert len(speeds) == 2
    assert max(speeds[0].values) < 5 < min(speeds[1].values)  # type: ignore[operator, type-var]


def test_the_same_seed_gives_the_same_draws() -> None:
    assert collect_attributes(NAMES, draws=5, seed=1) == collect_attributes(NAMES, draws=5, seed=1)
    assert collect_attributes(NAMES, draws=5, seed=1) != collect_attributes(NAMES, draws=5, seed=2)


def test_looks_and_cameras_are_those_of_the_configuration() -> None:
    loader = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")
    config = SimulationConfig.model_validate(loader["parameters"]["simulation"])
    looks = by_name(collect_looks(["pendulum", "mirror_ball_fall"], config, draws=60))
    assert looks["camera_elevation"].ranges == [Uniform(*config.camera.elevation)]
    assert looks["camera_motion"].ranges == [Choice(tuple(config.camera.motions))]
    assert len(looks["ground"].values) == 60
    assert looks["studio_lamps"].scenes == 1  # the optics scene alone is indoors
    assert "radius" not in looks


def test_figure_has_an_axis_an_attribute(attributes: list[Attribute], tmp_path: Path) -> None:
    flags = Attribute(name="side", values=[0, 1, 1], ranges=[Integer(0, 1)], scenes=1)
    figure = draw_distributions([*attributes, flags], title="rigid bodies")
    shown = [axis.get_title(loc="left") for axis in figure.axes if axis.axison]
    assert shown == [attribute.name.replace("_", " ") for attribute in [*attributes, flags]]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
