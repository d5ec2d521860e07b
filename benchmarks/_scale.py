"""What the figures of categories.py come to: tables, exponents, and the paper's set."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from phys4d_kedro.simulation.scenes import SCENES

PAPER_CLIPS, PAPER_FRAMES, PAPER_SIZE, PAPER_TERABYTES = 1_250_000, 300, "1080x1920", 15

SIMULATION = {  # figures and their titles
    "simulation_ms_a_frame": "ms a frame at 8 FPS",
    "simulation_ms_a_60th": "the same, ms a 1/60 s",
    "simulation_ms_a_frame_at_60": "ms a frame at 60 FPS",
}
IMAGES = {
    "render_ms": "rendering, ms a frame",
    "annotate_ms": "annotating and checking, ms a frame",
    "code_ms": "coding, ms a frame",
    "bytes": "coded, kB a frame",
}

EXPONENTS = {"of all sizes": "exponent", "of the last two": "last_exponent"}

Row = dict[str, Any]
Lines = list[Sequence[Any]]


def exponent(measured: dict[int, float]) -> float:
    """The power with which a measured quantity grows: least squares through the logarithms."""
    return float(np.polyfit(np.log(list(measured)), np.log(list(measured.values())), 1)[0])


def averaged(rows: Sequence[Row]) -> Row:
    """Means of every figure over rows of the same form."""
    return {
        key: averaged([row[key] for row in rows]) if isinstance(value, dict) else statistics.fmean(r[key] for r in rows)
        for key, value in rows[0].items()
    }


def means(results: Row) -> dict[str, Row]:
    """Figures of every category that has any: means over its scenes, each weighing the same."""
    measured = {}
    for category, entry in sorted(results.get("categories", {}).items()):
        rows = [row for row in entry["scenes"].values() if "error" not in row]
        if rows:
            measured[category] = averaged(rows) | {"measured": len(rows), "scenes": entry["scenes_in_all"]}
    return measured


def tables(results: Row) -> list[str]:
    """Markdown: times, images, whole clips, and how cost grows; only what has been measured."""
    rows = means(results)
    sizes = sorted({size for row in rows.values() for size in row["images"]}, key=lambda size: int(size.split("x")[0]))
    times: Lines = []
    images: dict[str, Lines] = {"render_ms": [], "annotate_ms": [], "code_ms": [], "bytes": []}
    clips: Lines = []
    for category, row in rows.items():
        name, clip = category.replace("_", " "), row["clip"]
        times.append([name, f"{row['measured']} of {row['scenes']}", *(number(row[key]) for key in SIMULATION)])
        for key, lines in images.items():
            lines.append([name, *(figure(row["images"].get(size, {}).get(key)) for size in sizes)])
        shares = [f"{clip['valid_motion']:.2f}", f"{clip['finite_depth']:.2f}"]
        redraws = [f"{clip['simulation_redraws']:.1f}", f"{clip['camera_redraws']:.1f}"]
        clips.append([name, number(3600 / clip["seconds"]), number(clip["bytes"] / 1e3), *shares, *redraws])
    rates = ["clips a core-hour", "kB a clip", "valid motion", "finite depth", "redraws, simulation", "redraws, camera"]
    made = [markdown(["simulation", "scenes", *SIMULATION.values()], times)]
    made += [markdown([IMAGES[key], *sizes], lines) for key, lines in images.items()]
    made.append(markdown(["64x64 at 8 FPS", *rates], clips))
    if "clips" in results:
        taken = [[count, f"{seconds:.2f}"] for count, seconds in results["clips"]["seconds"].items()]
        made.append(markdown(["clips", "s"], [*taken, ["exponent", f"{results['clips']['exponent']:.2f}"]]))
    if "triangles" in results:
        made += [growth_table(kind, row) for kind, row in results["triangles"].items()]
    if "memory" in results:
        head = ["clip", "process before, MB", "its arrays, MB", "most in addition, MB"]
        made.append(markdown(head, [[name, *map(number, row.values())] for name, row in results["memory"].items()]))
    return made


def growth_table(kind: str, row: Row) -> str:
    """A sphere against its triangles."""
    upload_ms, both_ms = row["ms"]["upload"], row["ms"]["both"]
    lines = [[n, number(upload_ms[n]), number(both_ms[n] - upload_ms[n])] for n in upload_ms]
    exponents = [[title, *(f"{row[key][w]:.2f}" for w in ("upload", "both"))] for title, key in EXPONENTS.items()]
    made = markdown([f"triangles of a {kind}", "upload, ms", "render, ms"], lines)
    return f"{made}\n\n{markdown(['exponent', 'upload', 'both'], exponents)}"


def extrapolate(results: Row) -> dict[str, Row]:
    """Core-hours and terabytes of the paper's set, by category: clips shared equally among the scenes of the categories
    that were measured at 1080p, every frame at the measured cost, every redraw a whole simulation or a whole view."""
    rows = {name: row for name, row in means(results).items() if PAPER_SIZE in row["images"]}
    scenes = sum(row["scenes"] for row in rows.values())
    made = {}
    for category, row in rows.items():
        clips = PAPER_CLIPS * row["scenes"] / scenes
        image, clip, hours = row["images"][PAPER_SIZE], row["clip"], clips * PAPER_FRAMES / 3.6e6  # per millisecond
        made[category] = {
            "clips": clips,
            "simulation": hours * row["simulation_ms_a_frame_at_60"] * (1 + clip["simulation_redraws"]),
            "rendering": hours * image["render_ms"] * (1 + clip["camera_redraws"]),
            "finishing": hours * (image["annotate_ms"] + image["code_ms"]),
            "terabytes": clips * PAPER_FRAMES * sum(image["bytes"].values()) / 1e12,
            "terabytes of RGB": clips * PAPER_FRAMES * image["bytes"]["rgb"] / 1e12,
        }
    return made


def paper_table(results: Row) -> str:
    """Markdown: `extrapolate`, with the sum, and what was not measured."""
    rows = extrapolate(results)
    if not rows:
        return f"Nothing was measured at {PAPER_SIZE}: no extrapolation."
    rows["all"] = {key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    steps = [f"{step}, core-hours" for step in ("simulation", "rendering", "annotating and coding")]
    lines = [[name.replace("_", " "), *map(number, row.values())] for name, row in rows.items()]
    table = markdown(["category", "clips", *steps, "TB", "TB of RGB"], lines)
    hours = sum(rows["all"][key] for key in ("simulation", "rendering", "finishing"))
    text = f"{hours:,.0f} core-hours: {hours / 24e3:,.0f} days of 1000 cores. {PAPER_TERABYTES} TB in the paper."
    large = {name: row["images"].get(PAPER_SIZE, {}) for name, row in means(results).items()}
    if failing := [name for name, image in large.items() if image.get("consistent", 1) < 1]:
        text += (
            f" Depth and motion of some scene disagree at this size, so that it makes no clips: {', '.join(failing)}."
        )
    if missing := sorted({scene.category for scene in SCENES.values()} - set(rows)):
        text += f" Not measured, and without clips here: {', '.join(missing)}."
    return f"{table}\n\n{text}"


def figure(value: float | dict[str, float] | None) -> str:
    """A table's entry: milliseconds as they are, the bytes of all arrays together in kB, empty where not measured."""
    if isinstance(value, dict):
        return number(sum(value.values()) / 1e3)
    return "" if value is None else number(value)


def number(value: float) -> str:
    """Three digits, or all of an integer's."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(map(str, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
