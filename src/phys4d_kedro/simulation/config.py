"""Parameters of the simulation."""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from phys4d_kedro.clips.config import ClipExpectations, ClipLength


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound comes first; write [{bounds[1]}, {bounds[0]}]")
    return bounds


def _known(names: list[str]) -> list[str]:
    from phys4d_kedro.simulation.scenes import SCENES

    unknown = sorted(set(names) - set(SCENES))
    if unknown:
        raise ValueError(f"no scenes {', '.join(unknown)}; there are {', '.join(SCENES)}")
    return names


# As the renderer, whose own constant cannot be read without starting Warp.
MOST_SAMPLES = 32

Split = Literal["train", "validation", "heldout", "unseen", "gallery"]
SceneNames = Annotated[list[str], Field(min_length=1), AfterValidator(_known)]
Positive = Annotated[float, Field(gt=0)]
Elevation = Annotated[float, Field(ge=1, le=85)]
FieldOfView = Annotated[float, Field(ge=5, le=120)]
Turn = Annotated[float, Field(ge=0, le=360)]
Share = Annotated[float, Field(ge=0, le=0.9)]


class CameraConfig(BaseModel):
    """From where a scene is seen; every bound is of a uniform draw, a view at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    motions: list[Literal["static", "orbit", "dolly"]] = Field(min_length=1, description="How a camera may move.")
    distance: Annotated[tuple[Positive, Positive], AfterValidator(_in_order)] = Field(
        description="To the middle of the scene, in multiples of the distance at which its radius fills the height."
    )
    elevation: Annotated[tuple[Elevation, Elevation], AfterValidator(_in_order)] = Field(
        description="Above the ground, degrees."
    )
    field_of_view: Annotated[tuple[FieldOfView, FieldOfView], AfterValidator(_in_order)] = Field(
        description="Vertical, degrees."
    )
    orbit: Annotated[tuple[Turn, Turn], AfterValidator(_in_order)] = Field(
        description="Turn of an orbiting camera over the clip, degrees, either way."
    )
    dolly: Annotated[tuple[Share, Share], AfterValidator(_in_order)] = Field(
        description="Share of its distance a dollying camera comes closer."
    )


class SplitConfig(BaseModel):
    """How many clips of a split, and of what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = Field(ge=1, description="Clips, spread evenly over the scenes.")
    views: int = Field(1, ge=1, description="Cameras that look at each simulation.")
    takes: int = Field(1, ge=1, le=2, description="2 simulates each configuration again, from a slightly other state.")


class UnseenConfig(SplitConfig):
    """A split of scenes that no other split has."""

    scenes: SceneNames = Field(description="Names of the scenes that are held out as a whole, in turn.")


class MachinesConfig(BaseModel):
    """Machines that share out the clips: each makes every `count`-th shard into one folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(1, ge=1, description="Machines that run the same simulation.")
    index: int = Field(0, ge=0, description="Which of them this one is, from 0.")

    @field_validator("index")
    @classmethod
    def _below_count(cls, index: int, info: ValidationInfo) -> int:
        count = info.data.get("count")
        if count is not None and index >= count:
            raise ValueError(f"{count} machines are numbered 0 to {count - 1}; raise machines.count or lower the index")
        return index


class SimulationConfig(BaseModel):
    """The `simulation` pipeline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(ge=0, description="Decides every configuration.")
    height: int = Field(ge=16, description="Rows of the images.")
    width: int = Field(ge=16, description="Columns of the images.")
    frames: ClipLength = Field(description="Frames of a clip, 1 + 4k.")
    fps: float = Field(gt=0, description="Frames a second.")
    samples: int = Field(
        ge=1, le=MOST_SAMPLES, description="Rays a pixel for the colours; annotations always take one."
    )
    scenes: SceneNames = Field(description="Names of the scenes to simulate, in turn; or all: those not in `unseen`.")
    turns: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="How many turns, by category, its scenes take for one of the others', such as those slow to make.",
    )
    camera: CameraConfig
    take_perturbation: float = Field(
        ge=0,
        description="Standard deviation, metres, of how far things start from the first take's start, along x and y.",
    )
    track_points: int = Field(ge=1, description="Material points tracked in a clip, at most.")
    train: SplitConfig
    validation: SplitConfig = Field(SplitConfig(clips=18), description="Clips to choose between trainings by.")
    heldout: SplitConfig
    unseen: UnseenConfig | None = Field(None, description="Clips of scenes that are in no other split; none: no clips.")
    machines: MachinesConfig = Field(MachinesConfig(), description="Which share of the clips this machine makes.")
    quality: ClipExpectations

    @model_validator(mode="before")
    @classmethod
    def _all_scenes(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("scenes") != "all":
            return data
        from phys4d_kedro.simulation.scenes import SCENES

        unseen = data.get("unseen")
        apart = unseen.get("scenes", []) if isinstance(unseen, dict) else getattr(unseen, "scenes", [])
        return data | {"scenes": [name for name in SCENES if name not in apart]}

    @field_validator("turns")
    @classmethod
    def _known_categories(cls, turns: dict[str, int]) -> dict[str, int]:
        if not turns:
            return turns
        from phys4d_kedro.simulation.scenes import SCENES

        categories = sorted({scene.category for scene in SCENES.values()})
        if unknown := sorted(set(turns) - set(categories)):
            raise ValueError(f"no categories {', '.join(unknown)}; there are {', '.join(categories)}")
        return turns

    @field_validator("unseen")
    @classmethod
    def _in_no_other_split(cls, unseen: UnseenConfig | None, info: ValidationInfo) -> UnseenConfig | None:
        shared = sorted(set(unseen.scenes if unseen else []) & set(info.data.get("scenes", [])))
        if shared:
            raise ValueError(
                f"{', '.join(shared)} cannot be in unseen.scenes and in scenes; take each out of one of the two"
            )
        return unseen

    @cached_property
    def _scenes_in_turn(self) -> list[str]:
        if not self.turns:
            return self.scenes
        from phys4d_kedro.simulation.scenes import SCENES

        turns = {name: self.turns.get(SCENES[name].category, 1) for name in self.scenes}
        return [name for turn in range(max(turns.values())) for name in self.scenes if turn < turns[name]]

    def split(self, name: Split) -> SplitConfig | None:
        """The size of a split; None where it has no clips. The gallery has a clip of every scene."""
        splits = {"train": self.train, "validation": self.validation, "heldout": self.heldout, "unseen": self.unseen}
        return SplitConfig(clips=len(self.scenes)) if name == "gallery" else splits[name]

    def scenes_of(self, split: Split) -> list[str]:
        """The scenes that a split's clips show in turn."""
        if split != "unseen":
            return self._scenes_in_turn
        return self.unseen.scenes if self.unseen else []
