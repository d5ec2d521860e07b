"""Parameters of a training loop; every trained model of the project has one of these in conf."""

from pydantic import BaseModel, ConfigDict, Field


class LoopConfig(BaseModel):
    """How `fit` trains. The same values, data and machine give the same weights, bit for bit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(ge=1, description="Optimiser steps in all.")
    batch_size: int = Field(ge=1, description="Items of a step.")
    learning_rate: float = Field(gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(
        0, ge=0, description="Steps over which the learning rate rises linearly from zero."
    )
    decay_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the steps, at the end, over which the learning rate falls to zero.",
    )
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of AdamW.")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of the weights; 0 turns it off."
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to at most this norm.")
    checkpoint_every: int = Field(
        200, ge=1, description="Steps between checkpoints; one is always made at the end."
    )
    keep_checkpoints: int = Field(2, ge=1, description="How many of the newest checkpoints stay on disk.")
    log_every: int = Field(10, ge=1, description="Steps averaged into one point of the loss curve.")
    seed: int = Field(ge=0, description="Decides data order, noise and initial weights.")
