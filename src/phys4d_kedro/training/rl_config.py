"""Parameters of stage 3."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phys4d_kedro.evaluation.reward_config import RewardConfig
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.launch_config import LaunchConfig
from phys4d_kedro.world_model.config import LoraSettings, SamplingConfig
from phys4d_kedro.world_model.model_card import Licence, known_licence
from phys4d_kedro.world_model.transitions_config import NoiseConfig


class ValueConfig(BaseModel):
    """The value baseline of the advantages, learned beside the policy (PPO proper)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(ge=1, description="Of its hidden layer.")
    weight: float = Field(gt=0, description="Of its squared error in the loss.")
    gae_lambda: float = Field(ge=0, le=1, description="Of generalised advantage estimation over denoising steps.")


class RlValidationConfig(BaseModel):
    """Worlds of held-back clips, generated without noise on the way, by which the policy is judged in training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: int = Field(ge=1, description="Validation clips that are generated, every scene in turn.")
    samples: int = Field(ge=1, description="Times that each is generated.")
    sampling: SamplingConfig


class RlConfig(BaseModel):
    """Stage 3: the policy, the sampler of the fine-tuned backbone, reinforced by how its worlds move.

    An iteration rolls out `conditions` x `group` worlds, judges them, and takes the optimiser over all of their trained
    steps, `passes` times. An item of the loop is `worlds_at_once` worlds of a group at one step: `loop.batch_size`
    counts these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeats: int = Field(ge=1, description="How many policies are trained, on seeds from the loop's on.")
    lora: LoraSettings
    iterations: int = Field(ge=1, description="Times that worlds are rolled out.")
    conditions: int = Field(ge=1, description="First frames and prompts of an iteration.")
    group: int = Field(ge=2, description="Worlds from each of them, of different noise.")
    worlds_at_once: int = Field(
        ge=1, description="Worlds of a group that go through the model together, sampled and trained; divides group."
    )
    steps: int = Field(ge=2, description="Denoising steps of a rollout.")
    trained_steps: int = Field(ge=1, description="How many of them, the first, are noisy and trained.")
    noise: NoiseConfig
    guidance: float = Field(ge=0, description="Classifier-free guidance, of rollouts and in training; 1 is none.")
    negative_prompt: str = Field("", description="What guidance leads away from; empty: no prompt.")
    reward: RewardConfig
    advantage: Literal["group", "value"] = Field(
        description="group: rewards against those of the group; value: against a learned value of every step."
    )
    value: ValueConfig = Field(description="The value baseline where `advantage` is value.")
    clip_range: float = Field(gt=0, lt=1, description="Ratios of probabilities are clipped to 1 -+ this.")
    kl_weight: float = Field(ge=0, description="Weight of the KL divergence from the fine-tuned model.")
    passes: int = Field(ge=1, description="Times that an iteration's worlds are learned from.")
    noise_level: float = Field(ge=0, le=1, description="At which the heads read the worlds, as in the evaluation.")
    validation: RlValidationConfig
    loop: LoopConfig
    checkpoint_dir: str = Field(description="Where training checkpoints go; safe to remove once a run is complete.")
    launch: LaunchConfig = Field(LaunchConfig(), description="Processes that train together.")
    base_model: str = Field(min_length=1, description="The backbone in model cards: a hub id, or a folder's name.")
    base_licence: Licence | None = Field(None, description="Of base_model; null: what is known of it.")

    @property
    def items(self) -> int:
        """Batches of worlds of an iteration, times trained steps."""
        return self.conditions * (self.group // self.worlds_at_once) * self.trained_steps

    @property
    def updates(self) -> int:
        """Optimiser steps of an iteration."""
        return self.passes * self.items // self.loop.batch_size

    @model_validator(mode="after")
    def _check_licence(self) -> "RlConfig":
        if self.base_licence is None and known_licence(self.base_model) is None:
            raise ValueError(f"the licence of base_model '{self.base_model}' is not known: give base_licence")
        return self

    @model_validator(mode="after")
    def _check_sampling(self) -> "RlConfig":
        if self.trained_steps >= self.steps:
            raise ValueError(f"trained_steps must be below steps ({self.steps}): the last one adds no noise")
        if self.noise.eta == 0:
            raise ValueError("noise.eta must be above 0: without noise there are no probabilities to learn from")
        if self.group % self.worlds_at_once:
            raise ValueError(f"worlds_at_once ({self.worlds_at_once}) must divide group ({self.group})")
        if self.lora.dropout:
            raise ValueError("lora.dropout must be 0: probabilities would change between sampling and training")
        return self

    @model_validator(mode="after")
    def _check_loop(self) -> "RlConfig":
        loop = self.loop
        if self.items % loop.batch_size:
            raise ValueError(
                f"loop.batch_size ({loop.batch_size}) must divide conditions x group / worlds_at_once x trained_steps "
                f"= {self.items}, the items of an iteration"
            )
        if loop.micro_batch_size != 1:
            raise ValueError("loop.micro_batch_size must be 1: an item is a batch of worlds already")
        if loop.precision != "fp32":
            raise ValueError(
                "loop.precision must be fp32: the policy samples and learns in the precision it is loaded in "
                "(world_model.dtype), or ratios would not start at 1"
            )
        if loop.steps != self.iterations * self.updates:
            raise ValueError(
                f"loop.steps ({loop.steps}) must be iterations x optimiser steps of each = {self.iterations} x "
                f"{self.updates} = {self.iterations * self.updates}"
            )
        for name in ("checkpoint_every", "validate_every"):
            every = getattr(loop, name)
            if every is not None and every % self.updates:
                raise ValueError(
                    f"loop.{name} ({every}) must be a multiple of {self.updates}, the optimiser steps of an iteration"
                )
        return self
