"""AdamW that never takes a step that is not finite, and finds that out without waiting for the device."""

from collections.abc import Sequence

import torch

from phys4d_kedro.training.config import LoopConfig


class GuardedAdamW(torch.optim.AdamW):
    """AdamW with clipped gradients, whose weights stay as they are from the first gradient on that is not finite.

    The kernels of the fused optimiser read `found_inf` on the device and leave everything as it is where it is 1
    (mixed precision's scaling of the loss uses the same switch). So nothing waits for a device at every step, and the
    weights that made a loss diverge are still there when somebody looks.
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter], config: LoopConfig, device: torch.device) -> None:
        super().__init__(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
        )
        self._parameters = parameters
        self._max_norm = config.max_grad_norm
        self.found_inf = torch.zeros((), device=device)

    @property
    def diverged(self) -> bool:
        """Whether a gradient was not finite; waits for the device."""
        return bool(self.found_inf)

    def mark(self, loss: torch.Tensor) -> None:
        """Spoil the gradients if the loss is not finite, which a backward pass does not always do."""
        gradient = next(p.grad for p in self._parameters if p.grad is not None)
        gradient[(0,) * gradient.dim()].add_(0 * loss.detach())  # 0 x infinity is not a number

    def update(self, rate: float) -> torch.Tensor:
        """Clip, step at a learning rate and drop the gradients. Returns their norm before clipping, a scalar."""
        for group in self.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._max_norm)
        self.found_inf = torch.maximum(self.found_inf, (~norm.isfinite()).to(self.found_inf))
        self.step()
        self.zero_grad(set_to_none=True)
        return norm
