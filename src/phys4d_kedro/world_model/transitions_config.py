"""Parameters of stochastic sampling; importable without torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NoiseConfig(BaseModel):
    """How much of a step's noise is drawn anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sde", "constant_sde", "preserving", "ddim"] = Field(
        description="sde: Flow-GRPO's, eta sqrt(level / (1 - level)) a unit of time; constant_sde: DanceGRPO's, eta; "
        "both for rectified flow. preserving: sin(eta pi/2) of the next level's noise; ddim: eta times the posterior's "
        "standard deviation (DDPO's); both for every family."
    )
    eta: float = Field(ge=0, description="Strength; 0 is the deterministic sampler. At most 1 for preserving and ddim.")

    @model_validator(mode="after")
    def _check_eta(self) -> "NoiseConfig":
        if self.kind in ("preserving", "ddim") and self.eta > 1:
            raise ValueError(f"eta is {self.eta}: {self.kind} takes 0 to 1, 1 being noise that is all drawn anew")
        return self
