"""What the training loop asks of a stage."""

from abc import ABC, abstractmethod

import torch

from phys4d_kedro.training.checkpoints import Modules


class Task(ABC):
    """What is trained: modules, the loss of a few items and, where a stage wants them, validation and rollouts.

    Attributes:
        modules: what is trained, checkpointed and averaged, by name; parameters that need no gradient stay as they are.
        monitored: key of the figure of `validate` that decides which weights are the best; lower is better.
    """

    modules: Modules
    monitored: str = "validation_loss"

    @abstractmethod
    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean loss of the items of one micro-batch, a scalar, and figures to log. All noise is from `generator`."""

    def before_step(self, step: int) -> dict[str, float]:
        """Called before the optimiser step that follows `step` others, in every process; figures are logged.

        The modules are as they train: in training mode, their weights not averaged. No autocast is on.
        """
        return {}

    def validate(self) -> dict[str, float]:
        """Figures of held-out data, in evaluation mode, without gradients or autocast, of the averaged weights.

        Every process calls it, so that a task can share the work out; those of process 0 count.
        """
        return {}

    def stop_reason(self, validations: list[dict[str, float]]) -> str | None:
        """Why training should end early, if it should; `validations` are rows of `step` and figures, oldest first."""
        return None

    def describe(self, indices: list[int]) -> list[str]:
        """Names of items, for errors."""
        return [str(index) for index in indices]
