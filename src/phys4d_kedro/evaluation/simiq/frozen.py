"""Frozen lists of what SimIQ simulates: a file a version, never changed once numbers were published with it."""

import hashlib
from functools import partial
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.config import ClipExpectations, ClipLength
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.config import CameraConfig, SimulationConfig, Split, SplitConfig

_FOLDER = resources.files("phys4d_kedro.evaluation.simiq") / "versions"
_FIRST = "-t0"
# Physics-IQ's number of takes, and the split whose streams of random numbers the clips are drawn from.
_TAKES = 2
_SPLIT: Split = "heldout"


class Scenario(BaseModel):
    """A configuration of a scene: the index-th that the seed draws."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: str = Field(description="Name of the scene.")
    index: int = Field(ge=0, description="Which of the seed's configurations of the scene.")
    configuration: str = Field(min_length=8, description="Its hash, or the beginning: what is drawn must have it.")

    @property
    def name(self) -> str:
        """Unique within a version."""
        return f"{self.scene}-{self.index}"


class FrozenList(BaseModel):
    """All that decides the clips of a version, beside the simulator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="The file's name, without .json.")
    seed: int = Field(ge=0, description="Decides every configuration.")
    height: int = Field(ge=16, description="Rows of the images.")
    width: int = Field(ge=16, description="Columns of the images.")
    frames: ClipLength = Field(description="Frames of a clip, 1 + 4k.")
    fps: float = Field(gt=0, description="Frames a second.")
    samples: int = Field(ge=1, description="Rays a pixel for the colours.")
    views: int = Field(ge=1, le=3, description="Cameras that look at each take.")
    take_perturbation: float = Field(gt=0, description="Metres by which things start elsewhere in the second take.")
    track_points: int = Field(ge=1, description="Material points tracked in a clip, at most.")
    least_side: int = Field(ge=1, description="Pixels that the shorter side is enlarged to before it is scored.")
    camera: CameraConfig
    scenarios: tuple[Scenario, ...] = Field(min_length=1, description="What is simulated.")

    @property
    def clips(self) -> int:
        """How many clips: scenarios x views x takes."""
        return len(self.scenarios) * self.views * _TAKES

    def simulation(self, scenario: Scenario) -> SimulationConfig:
        """Parameters of the simulation of one scenario."""
        count = (scenario.index + 1) * self.views * _TAKES
        return SimulationConfig(
            **self.model_dump(include={"seed", "height", "width", "frames", "fps", "samples"}),
            **self.model_dump(include={"take_perturbation", "track_points"}),
            camera=self.camera,
            scenes=[scenario.scene],
            train=SplitConfig(clips=1),
            heldout=SplitConfig(clips=count, views=self.views, takes=_TAKES),
            quality=ClipExpectations(),
        )


def load_version(name: str) -> FrozenList:
    """The frozen list of a version.

    Raises:
        ConfigurationError: there is none of this name, or its file is wrong.
    """
    file = _FOLDER / f"{name}.json"
    if not file.is_file():
        there = sorted(f.name.removesuffix(".json") for f in _FOLDER.iterdir() if f.name.endswith(".json"))
        raise ConfigurationError(f"simiq.version: there is no '{name}'; there are {', '.join(there)}")
    try:
        found = FrozenList.model_validate_json(file.read_text())
    except ValidationError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    if found.version != name:
        raise ConfigurationError(f"{file}: its version is '{found.version}'; write version: '{name}'")
    return found


def freeze(listed: FrozenList) -> FrozenList:
    """The list with the configurations that the simulator draws today, for a new version's file.

    Raises:
        ConfigurationError: a scene is unknown, or none of its configurations can be simulated for that long.
    """
    from phys4d_kedro.simulation.generate import ClipKey, draw_simulation

    scenarios = []
    for scenario in listed.scenarios:
        drawn = draw_simulation(listed.simulation(scenario), ClipKey(_SPLIT, scenario.index, 0, 0)).draw
        scenarios.append(scenario.model_copy(update={"configuration": drawn.configuration_hash()[:12]}))
    return listed.model_copy(update={"scenarios": tuple(scenarios)})


def simiq_source(frozen: FrozenList) -> ClipSource:
    """The clips of a version, yet to be simulated: takes change fastest, then views, then scenarios.

    Raises (when a clip is made):
        ConfigurationError: the simulator draws another configuration than the one that was frozen.
    """
    from phys4d_kedro.simulation.generate import simulation_source

    digest = hashlib.sha256(frozen.model_dump_json().encode())
    for scenario in frozen.scenarios:
        digest.update(simulation_source(frozen.simulation(scenario), _SPLIT).fingerprint.encode())
    return ClipSource(
        count=frozen.clips,
        fingerprint=digest.hexdigest(),
        make=partial(_make, frozen),
        description=f"Simulating SimIQ {frozen.version}",
        together=frozen.views * _TAKES,
    )


def first_takes(clips: ClipStore) -> ClipStore:
    """Those of the clips that videos are generated from and compared with."""
    return clips.subset([name for name in clips.ids if name.endswith(_FIRST)])


def second_take(name: str) -> str:
    """The id of the second take of a first one."""
    return f"{name.removesuffix(_FIRST)}-t1"


def _make(frozen: FrozenList, index: int) -> Clip:
    from phys4d_kedro.simulation.generate import ClipKey, make_clip

    number, rest = divmod(index, frozen.views * _TAKES)
    view, take = divmod(rest, _TAKES)
    scenario = frozen.scenarios[number]
    clip = make_clip(frozen.simulation(scenario), ClipKey(_SPLIT, scenario.index, view, take))
    drawn = clip.parameters["configuration_hash"]
    if not drawn.startswith(scenario.configuration):
        raise ConfigurationError(
            f"SimIQ {frozen.version}, {scenario.name}: the simulator draws configuration {drawn[:12]}, frozen was "
            f"{scenario.configuration}; scores are not comparable with earlier ones: freeze a new version"
        )
    return clip.with_(
        clip_id=f"simiq-{scenario.name}-v{view}-t{take}",
        parameters=clip.parameters | {"simulation": scenario.name, "simiq": frozen.version},
    )
