"""Parameters of the estimators, of pseudo-labelling and of the nano depth model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from phys4d_kedro.clips.config import ClipExpectations


class FlowConfig(BaseModel):
    """Which optical flow runs, and how far it is believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    estimator: Literal["dis", "raft_small", "raft_large"] = Field(
        "dis", description="`dis` is OpenCV's DIS flow; the RAFT models need the extra phys4d-kedro[raft]."
    )
    weights: str | None = Field(
        None,
        description="File with RAFT's weights (a state dict); none takes torchvision's own, which are downloaded.",
    )
    device: str = Field("auto", description="Where RAFT runs: a torch device, or `auto` for a GPU where there is one.")
    occlusion_relative: float = Field(
        0.01,
        ge=0,
        description="Share of the squared motion that forward and backward flow may differ by (squared pixels).",
    )
    occlusion_absolute: float = Field(
        0.5, gt=0, description="Squared pixels that forward and backward flow may differ by without any motion."
    )
    confidence_scale: float = Field(
        0.5, gt=0, description="Forward-backward mismatch, in pixels, at which confidence has fallen to one half."
    )


class DepthConfig(BaseModel):
    """Which depth model runs, and how its output becomes metres."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="Folder of a transformers depth model (from the project's root), or its hub id.")
    output: Literal["auto", "metric", "relative_inverse"] = Field(
        "auto",
        description="What the model predicts: metres, or inverse depth up to scale and shift; `auto` asks the model.",
    )
    batch_size: int = Field(8, ge=1, description="Frames in one forward pass.")
    device: str = Field(
        "auto", description="Where the model runs: a torch device, or `auto` for a GPU where there is one."
    )
    median_depth: float = Field(
        5.0, gt=0, description="Median depth of a clip in metres that a relative prediction is scaled to."
    )
    depth_ratio: float = Field(
        10.0,
        gt=1,
        description="How many times as far as the nearest point the farthest is taken to be in a relative prediction.",
    )
    farthest: float | None = Field(
        None,
        gt=0,
        description="Metres beyond which a prediction is taken for the sky and labelled as nothing hit; null: none is.",
    )


class ConsistencyConfig(BaseModel):
    """How the depth of single frames is made consistent over a clip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alignment: Literal["none", "scale", "scale_and_shift"] = Field(
        description="What each frame may be corrected by: a factor, or a factor and an offset (see `align_frames`)."
    )
    prior: float = Field(
        ge=0,
        description="Pull of every frame towards the estimator's own values; at 0 the flow alone decides, and slow "
        "true changes of depth, as of a camera that moves forward, are taken for flicker too.",
    )
    smoothing_passes: int = Field(
        ge=0, description="How often depth is averaged with its neighbours in time, 1-2-1, along the flow."
    )
    confidence_scale: float = Field(
        0.1,
        gt=0,
        description="Disagreement with the neighbours in time, in log depth, at which confidence is one half.",
    )
    unverified_confidence: float = Field(
        0.5, ge=0, le=1, description="Depth confidence where a pixel is visible in no neighbouring frame."
    )


class PseudoLabelConfig(BaseModel):
    """Parameters of the pipeline `pseudo_labeling`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flow: FlowConfig
    depth: DepthConfig
    consistency: ConsistencyConfig
    quality: ClipExpectations = Field(
        default_factory=ClipExpectations, description="What must hold of the labelled clips before they are used."
    )


class NanoDepthConfig(BaseModel):
    """Architecture of the nano Depth Anything: a small Dinov2 backbone under Depth Anything's own neck and head."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int = Field(ge=16, description="Side of the square frames it is trained on, in pixels.")
    patch_size: int = Field(ge=2, description="Side of a patch in pixels; must divide image_size.")
    hidden_size: int = Field(ge=8, description="Width of the backbone.")
    layers: int = Field(ge=4, description="Transformer layers; the neck reads four of them.")
    heads: int = Field(ge=1, description="Attention heads; must divide hidden_size.")
    neck_factors: tuple[float, float, float, float] = Field(
        (4, 2, 1, 0.5), description="Size of the neck's four scales, fine to coarse, in grids of patches."
    )
    neck_sizes: tuple[int, int, int, int] = Field(description="Channels of the neck's four scales, fine to coarse.")
    fusion_size: int = Field(ge=4, description="Channels in which the four scales are fused.")
    head_size: int = Field(ge=1, description="Channels of the head's last hidden layer.")
    max_depth: int = Field(
        ge=1, description="Depth in metres that the head's sigmoid saturates at; nothing farther can be told."
    )


class AugmentationConfig(BaseModel):
    """How colours are varied while the nano depth model learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jitter: float = Field(
        ge=0, le=1, description="Spread of log gamma, contrast and channel gains, and of saturation; 0 changes nothing."
    )
    grey_share: float = Field(ge=0, le=1, description="Share of frames turned grey.")
    blur_share: float = Field(ge=0, le=1, description="Share of frames blurred.")
    noise: float = Field(ge=0, description="Largest standard deviation of pixel noise, on the scale 0 to 1.")


class NanoDepthLossConfig(BaseModel):
    """What the nano depth model is trained to minimise; see `nano_depth_anything.depth_loss`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object_weight: float = Field(ge=0, description="Weight of pixels on moving objects; the background has 1.")
    scale_invariant_weight: float = Field(
        ge=0, description="Weight of the error's variance over a frame, beside its mean absolute value."
    )
    gradient_weight: float = Field(ge=0, description="Weight of the error's differences between nearby pixels.")
    augmentation: AugmentationConfig
