"""Parameters of the 4D world consistency suite."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.score_quality import ScoreExpectations


class SuiteConfig(BaseModel):
    """The pipeline `world_suite`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    world: WorldConfig = Field(WorldConfig(), description="Which objects are followed, how far, and how compared.")
    image_tracks: int = Field(
        512, ge=1, description="At most this many pixels of the whole first frame are followed, evenly spread."
    )
    colour_tolerance: float = Field(
        0.25,
        gt=0,
        le=1,
        description="A followed point is lost while its brightness is further, in a mean over colours, from its first.",
    )
    horizons: int = Field(ge=1, description="Times, evenly spread up to the clip's end, at which curves have a point.")
    field_of_view: float = Field(
        50.0, gt=0, lt=180, description="Vertical, in degrees, of the camera of a clip that says nothing of its own."
    )
    videos: int = Field(ge=0, description="Real videos that are judged too, as estimators see them.")
    bootstrap_resamples: int = Field(ge=1, description="Resamples of the clips behind an interval.")
    seed: int = Field(ge=0, description="Decides the resamples.")
    quality: ScoreExpectations = Field(ScoreExpectations(), description="What must hold of the scores.")
