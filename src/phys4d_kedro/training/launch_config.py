"""Parameters of how a training is spread over processes."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LaunchConfig(BaseModel):
    """Where a job runs; decides nothing of what it computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    processes: int = Field(1, ge=1, description="Processes on this machine: one a GPU where there are GPUs.")
    restarts: int = Field(
        0,
        ge=0,
        description="How often several processes are started again, from the last checkpoint, after one was lost.",
    )
    timeout_minutes: float = Field(
        60, gt=0, description="How long a process waits for the others, for instance while the first one validates."
    )
    external: bool = Field(
        False, description="Write the job to a file for `accelerate launch` or `torchrun`, and stop until it has run."
    )
    job_dir: str | None = Field(None, description="Folder of the job files, where `external` is set.")
    accelerate_config: str | None = Field(
        None, description="Accelerate's configuration, for the command that `external` shows."
    )

    @model_validator(mode="after")
    def _check_external(self) -> "LaunchConfig":
        if self.external and self.job_dir is None:
            raise ValueError("`external` needs `job_dir`, the folder where the job file is written")
        if self.external and self.processes != 1:
            raise ValueError(
                "with `external` the launcher decides how many processes there are; leave `processes` at 1"
            )
        return self
