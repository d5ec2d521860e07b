"""The 4D world consistency suite: what each metric is called, and what it needs; docs/suite.md has the formulas.

Three families, a file each: `geometry`, `motion`, `plausibility`. `horizons` has what is followed over growing times,
`scores` and `table` bring them to clips and to sets of clips, `summary` says what the table says.
"""

from dataclasses import dataclass
from typing import Literal

from phys4d_kedro.evaluation.statistics import Metric

GEOMETRY, MOTION, PLAUSIBILITY = "geometry", "motion", "plausibility"

EXACT, TRUTH, VIDEOS = "exact", "truth", "videos"
"""The judge of the truth itself, and the stages that are no training: the truth, and real videos."""

Needs = Literal["truth", "clip", "objects"]


@dataclass(frozen=True)
class SuiteMetric(Metric):
    """`family`: where it belongs. `needs`: `clip`, any clip with depth and motion; `objects`, one whose objects of the
    first frame are known, too; `truth`, the simulated clip that it should be.
    """

    family: str = ""
    needs: Needs = "clip"


def _higher(label: str, unit: str, family: str, needs: Needs) -> SuiteMetric:
    return SuiteMetric(label, unit, higher_is_better=True, family=family, needs=needs)


def _lower(label: str, unit: str, family: str, needs: Needs) -> SuiteMetric:
    return SuiteMetric(label, unit, family=family, needs=needs)


SUITE_METRICS = {
    "depth_abs_rel": _lower("Depth AbsRel", "", GEOMETRY, "truth"),
    "depth_delta_1": _higher("Depth δ < 1.25", "", GEOMETRY, "truth"),
    "scale_drift": _lower("Drift of depth scale", "log/s", GEOMETRY, "truth"),
    "scale_flicker": _lower("Flicker of depth scale", "log", GEOMETRY, "truth"),
    "static_scale_drift": _lower("Drift of what stands still", "log/s", GEOMETRY, "clip"),
    "normal_error": _lower("Surface normals", "degrees", GEOMETRY, "truth"),
    "end_point_error": _lower("End-point error", "pixels", MOTION, "truth"),
    "cycle_error": _lower("Forward-backward cycle", "pixels", MOTION, "clip"),
    "warp_residual": _lower("Warp residual", "log depth", MOTION, "clip"),
    "photometric_error": _lower("Photometric warp error", "", MOTION, "clip"),
    "track_jitter": _lower("Jitter of tracks", "m", MOTION, "clip"),
    "chamfer_4d": _lower("4D Chamfer", "m", PLAUSIBILITY, "truth"),
    "energy_gain": _lower("Energy out of nothing", "J/kg", PLAUSIBILITY, "objects"),
    "energy_error": _lower("Energy, from the truth", "J/kg", PLAUSIBILITY, "truth"),
    "momentum_drift": _lower("Drift of level momentum", "m/s", PLAUSIBILITY, "objects"),
    "momentum_error": _lower("Momentum, from the truth", "m/s", PLAUSIBILITY, "truth"),
    "interpenetration": _lower("Interpenetration", "m", PLAUSIBILITY, "objects"),
    "volume_drift": _lower("Drift of volumes", "log", PLAUSIBILITY, "objects"),
    "area_error": _lower("Visible areas, from the truth", "log", PLAUSIBILITY, "truth"),
    "permanence": _higher("Permanence of objects", "", PLAUSIBILITY, "objects"),
    "count_error": _lower("Count of objects, from the truth", "", PLAUSIBILITY, "truth"),
}
"""How each metric is written and read, and what it needs."""

HORIZON_METRICS = ("chamfer_4d", "depth_abs_rel", "permanence")
"""Those that are also told over growing horizons."""
