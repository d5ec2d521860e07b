"""Parameters of judging generated worlds, and of the reward of stage 3."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class WorldConfig(BaseModel):
    """How a generated world is compared with the simulated one; docs/reward.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moving_threshold: float = Field(
        0.02, gt=0, description="An object moves if a point of it gets this far, in metres, from where it was at first."
    )
    tracks: int = Field(512, ge=1, description="At most this many pixels of the first frame are followed, per object.")
    fewest_pixels: int = Field(6, ge=1, description="Objects of fewer pixels in the first frame are not followed.")
    visible_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="An object is compared until less than this share of its first frame's pixels is visible.",
    )
    align: Literal["first_frame", "none"] = Field(
        "first_frame",
        description="first_frame: the depth of each followed point is scaled by the one factor that makes it true in "
        "the frame that is given; none: depth counts as it is.",
    )


class RewardWeights(BaseModel):
    """What each term weighs; all terms are higher where a clip is better, and of no unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chamfer_4d: float = Field(1.0, ge=0, description="Minus the 4D Chamfer distance, in units of the scene's scale.")
    chamfer_per_frame: float = Field(0.0, ge=0, description="Minus the Chamfer distance frame by frame, likewise.")
    motion_iou: float = Field(0.0, ge=0, description="Where and when the image changes, against the truth; 0 to 1.")
    appearance: float = Field(0.0, ge=0, description="Minus the drift of colours and sharpness beyond the tolerance.")

    @model_validator(mode="after")
    def _check_any(self) -> "RewardWeights":
        if not any(self.model_dump().values()):
            raise ValueError("every weight of the reward is 0; give chamfer_4d, or another term, a weight above 0")
        return self


class DivergenceConfig(BaseModel):
    """When the judge that is optimised has parted from the one that is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int = Field(10, ge=3, description="Latest entries that are looked at; with fewer, nothing is said.")
    tolerance: float = Field(
        0.02, ge=0, description="Rise of the judged reward, and fall of the independent one, that is still noise."
    )


class RewardConfig(BaseModel):
    """The reward of generated clips."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judge: Literal["heads", "estimators"] = Field(
        "heads",
        description="Whose depth and motion the reward comes from; the other one's is beside it in every table.",
    )
    weights: RewardWeights = Field(RewardWeights(), description="Of the terms.")
    appearance_tolerance: float = Field(
        0.2, ge=0, description="Drift of colours and sharpness that costs nothing; what the VAE alone does is below it."
    )
    world: WorldConfig = Field(WorldConfig(), description="How worlds are compared.")
    divergence: DivergenceConfig = Field(DivergenceConfig(), description="When training on this reward has to stop.")
