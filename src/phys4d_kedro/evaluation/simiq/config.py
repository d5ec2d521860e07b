"""Parameters of SimIQ."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.evaluation.score_quality import ScoreExpectations
from phys4d_kedro.world_model.config import SamplingConfig


class SimiqConfig(BaseModel):
    """The pipeline `simiq`. What is simulated is no parameter: the version's frozen list says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(description="Name of a frozen list: a file of evaluation/simiq/versions, without .json.")
    samples: int = Field(ge=1, description="Videos generated of each view by each training seed of each stage.")
    sampling: SamplingConfig
    bootstrap_resamples: int = Field(ge=1, description="Resamples of the scenarios behind an interval of a margin.")
    seed: int = Field(ge=0, description="Number of the first sample, which decides its noise; and of the resamples.")
    quality: ScoreExpectations = Field(ScoreExpectations(), description="What must hold of the scores.")
