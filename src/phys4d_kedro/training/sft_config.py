"""Parameters of stage 2."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.launch_config import LaunchConfig
from phys4d_kedro.world_model.config import LoraSettings
from phys4d_kedro.world_model.model_card import Licence, known_licence


class SftConfig(BaseModel):
    """Stage 2: an adapter of the backbone and both heads, fine-tuned on simulated clips with exact annotations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeats: int = Field(
        ge=1,
        description="How many models are trained, on seeds from the loop's on, each from stage 1's heads of its seed.",
    )
    lora: LoraSettings
    denoising_weight: float = Field(gt=0, description="Weight of the denoising loss.")
    depth_weight: float = Field(ge=0, description="Weight of the depth loss.")
    motion_weight: float = Field(ge=0, description="Weight of the motion loss.")
    warp_weight: float = Field(ge=0, description="Weight of the warp consistency of predicted depth and motion.")
    photometric_weight: float = Field(
        ge=0,
        description="Weight of the same consistency of the denoised video's colours; 0 saves decoding it.",
    )
    moving_weight: float = Field(
        gt=0,
        description="Pixels of moving objects, which are few, count this many times in the 4D losses; 1: as others.",
    )
    noise_shift: float = Field(
        gt=0, description="Noise levels are shift u / (1 + (shift - 1) u) of uniform u; above 1 prefers high noise."
    )
    geometry_share: float = Field(
        ge=0, le=1, description="Share of the clips whose noise levels are drawn at geometry_shift instead."
    )
    geometry_shift: float = Field(
        gt=0, description="Shift of that share; below 1 prefers low noise, at which there is geometry to predict."
    )
    geometry_power: float = Field(
        ge=0, description="The 4D losses of a clip at noise level s count (1 - s) to this power."
    )
    prompt_dropout: float = Field(ge=0, le=1, description="Share of clips trained without their prompt.")
    label_memory_gb: float = Field(ge=0, description="Labels kept in memory, in GB; beyond it they are read again.")
    loop: LoopConfig
    checkpoint_dir: str = Field(description="Where training checkpoints go; safe to remove once a run is complete.")
    shard: bool = Field(
        False, description="Processes share out the frozen weights of the transformer, where one GPU cannot hold them."
    )
    launch: LaunchConfig = Field(LaunchConfig(), description="Processes that train together.")
    base_model: str = Field(min_length=1, description="The backbone in model cards: a hub id, or a folder's name.")
    base_licence: Licence | None = Field(None, description="Of base_model; null: what is known of it.")

    @model_validator(mode="after")
    def _check_licence(self) -> "SftConfig":
        if self.base_licence is None and known_licence(self.base_model) is None:
            raise ValueError(f"the licence of base_model '{self.base_model}' is not known: give base_licence")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the losses by name."""
        names = ("denoising", "depth", "motion", "warp", "photometric")
        return {name: getattr(self, f"{name}_weight") for name in names}

    @property
    def trains_heads(self) -> bool:
        """Whether there is any loss of depth or motion, and so anything for the heads to learn."""
        return any(weight for name, weight in self.weights.items() if name != "denoising")

    def appearance_only(self) -> "SftConfig":
        """The control: the same adapter, clips, noise and steps, trained by the denoising loss alone."""
        silent = {f"{name}_weight": 0.0 for name in self.weights if name != "denoising"}
        return self.model_copy(update=silent)
