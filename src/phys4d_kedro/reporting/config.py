"""Parameters of the report."""

from pydantic import BaseModel, ConfigDict, Field


class ReportingConfig(BaseModel):
    """What the report shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    predictor: str = Field(description="The predictor that the report is about; every other one is compared with it.")
    worlds: int = Field(ge=1, description="Held-out clips of which the worlds of all stages are played side by side.")
    examples: int = Field(ge=1, description="Held-out clips shown as pictures, a scene each while scenes last.")
    sheet_columns: int = Field(ge=1, description="Frames in a row of a PNG sheet.")
    depth_clips: int = Field(ge=1, description="Clips of each set whose depth goes into the distribution.")
    depth_pixels: int = Field(ge=1, description="Random pixels of each of those clips.")
    seed: int = Field(description="Chooses those pixels.")
