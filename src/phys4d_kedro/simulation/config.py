"""Parameters of the simulation."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from phys4d_kedro.clips.config import ClipExpectations, ClipLength


class CameraConfig(BaseModel):
    """From where a scene is seen; every bound is of a uniform draw, a view at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    motions: list[str] = Field(min_length=1, description="Drawn from: static, orbit, dolly.")
    distance: tuple[float, float] = Field(description="To the middle of the scene, in multiples of its radius.")
    elevation: tuple[float, float] = Field(description="Above the ground, degrees.")
    field_of_view: tuple[float, float] = Field(description="Vertical, degrees.")
    orbit: tuple[float, float] = Field(description="Turn of an orbiting camera over the clip, degrees, either way.")
    dolly: tuple[float, float] = Field(description="Share of its distance a dollying camera comes closer.")

    @field_validator("motions")
    @classmethod
    def _known(cls, motions: list[str]) -> list[str]:
        unknown = sorted(set(motions) - {"static", "orbit", "dolly"})
        if unknown:
            raise ValueError(f"camera motions are static, orbit, dolly, not {', '.join(unknown)}")
        return motions


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
    scenes: list[str] = Field(min_length=1, description="Names of the scenes to simulate.")
    camera: CameraConfig
    take_perturbation: float = Field(ge=0, description="Standard deviation, metres, of the second take's start.")
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
