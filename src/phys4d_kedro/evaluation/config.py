"""Parameters of the evaluation."""

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.evaluation.score_quality import ScoreExpectations


class EvaluationConfig(BaseModel):
    """The pipeline `evaluation`: what is read off the model, and how it is judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise_level: float = Field(
        ge=0, le=1, description="Share of noise in the latents when depth and motion of a given video are read off."
    )
    moving_threshold: float = Field(
        gt=0, description="An object moves if a point of it gets this far, in metres, from where it was at the start."
    )
    tracks: int = Field(
        ge=1, description="At most this many pixels of the first frame are followed, in each region, for 4D Chamfer."
    )
    ridge_penalty: float = Field(
        ge=0, description="Ridge penalty on a weight's square, per unit of the features' variance (which is one)."
    )
    bootstrap_resamples: int = Field(ge=1, description="Resamples of the clips behind an interval of a margin.")
    example_clips: int = Field(ge=1, description="Held-out clips whose predictions are kept as clips, for the report.")
    seed: int = Field(ge=0, description="Decides the noise that videos are read at, and the resamples.")
    quality: ScoreExpectations = Field(ScoreExpectations(), description="What must hold of the scores.")
