"""Parameters of the simulation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from phys4d_kedro.clips.config import ClipExpectations, ClipLength


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound comes first; write [{bounds[1]}, {bounds[0]}]")
    return bounds


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


class SimulationConfig(BaseModel):
    """The `simulation` pipeline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(ge=0, description="Decides every configuration.")
    height: int = Field(ge=16, description="Rows of the images.")
    width: int = Field(ge=16, description="Columns of the images.")
    frames: ClipLength = Field(description="Frames of a clip, 1 + 4k.")
    fps: float = Field(gt=0, description="Frames a second.")
    samples: int = Field(ge=1, description="Rays a pixel for the colours; annotations always take one.")
    scenes: list[str] = Field(min_length=1, description="Names of the scenes to simulate, in turn.")
    camera: CameraConfig
    take_perturbation: float = Field(
        ge=0,
        description="Standard deviation, metres, of how far things start from the first take's start, along x and y.",
    )
    track_points: int = Field(ge=1, description="Material points tracked in a clip, at most.")
    train: SplitConfig
    heldout: SplitConfig
    quality: ClipExpectations

    @field_validator("scenes")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        from phys4d_kedro.simulation.scenes import SCENES

        unknown = sorted(set(names) - set(SCENES))
        if unknown:
            raise ValueError(f"no scenes {', '.join(unknown)}; there are {', '.join(SCENES)}")
        return names
