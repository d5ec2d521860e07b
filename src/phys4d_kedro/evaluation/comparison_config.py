"""Parameters of the comparison of stages."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.score_quality import ScoreExpectations
from phys4d_kedro.world_model.config import SamplingConfig


class ComparisonConfig(BaseModel):
    """The pipeline `comparison`: which clips the stages are judged on, and how worlds are generated for it.

    True videos are read and scored by the parameters of the pipeline `evaluation`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = Field(ge=2, description="Held-out clips that every stage is judged on, every scene in turn.")
    samples: int = Field(ge=1, description="Worlds generated of each clip by each training seed of each stage.")
    sampling: SamplingConfig
    world: WorldConfig = Field(WorldConfig(), description="How generated worlds are compared with the simulated ones.")
    bootstrap_resamples: int = Field(ge=1, description="Resamples of the clips behind an interval of a margin.")
    sheet_clips: int = Field(ge=0, description="Clips whose worlds are drawn, a picture each.")
    sheet_columns: int = Field(ge=2, description="Frames of a clip in such a picture, from the first to the last.")
    seed: int = Field(ge=0, description="Number of the first sample, which decides its noise; and of the resamples.")
    quality: ScoreExpectations = Field(ScoreExpectations(), description="What must hold of the scores.")
