"""Physics-IQ written down plainly, to compare with: whole videos in memory, one rule after the other."""

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

VIEWS = ("perspective-left", "perspective-center", "perspective-right")


def read(path: Path, frames: int) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    found = []
    while len(found) < frames:
        ok, frame = capture.read()
        if not ok:
            break
        found.append(frame)
    return found


def native_masks(path: Path) -> list[np.ndarray]:
    """Of the whole video, however long."""
    masks, background, kernel = [], None, np.ones((5, 5), np.uint8)
    for frame in read(path, 10**6):
        gray = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), (5, 5), 0)
        if background is None:
            background = gray.astype(float)
            masks.append(np.zeros_like(gray))
            continue
        cv2.accumulateWeighted(gray, background, 0.3)
        difference = cv2.absdiff(gray, cv2.convertScaleAbs(background))
        mask = np.where(difference > 10, 255, 0).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
        masks.append(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel))
    return masks


def write_masks(masks: list[np.ndarray], path: Path, fps: int = 30) -> None:
    height, width = masks[0].shape
    size = (width - width % 2, height - height % 2)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size, isColor=False)
    for mask in masks:
        writer.write(mask)
    writer.release()


def masks_of(path: Path, frames: int, size: tuple[int, int], *, exact: bool, scratch: Path) -> list[np.ndarray]:
    masks = native_masks(path)
    if exact:
        write_masks(masks, scratch / "reference_masks.mp4")
        masks = [frame[..., 0] for frame in read(scratch / "reference_masks.mp4", frames)]
    return [cv2.resize(mask, size) > 127 for mask in masks[:frames]]


def compare(video: Path, other: Path, first: Path, frames: int, *, exact: bool, scratch: Path) -> dict[str, Any]:
    """`first` is take 1, which gives the size."""
    height, width = read(first, 1)[0].shape[:2]
    size = (width // 4, height // 4)
    images = [[(cv2.resize(frame, size) / 255).astype(np.float32) for frame in read(p, frames)] for p in (video, other)]
    a, b = (masks_of(p, frames, size, exact=exact, scratch=scratch) for p in (video, other))
    length = min(len(images[0]), len(images[1]))
    a, b = a[:length], b[:length]
    mean_a, mean_b = (np.sum(m, axis=0, dtype=np.uint16) / length for m in (a, b))
    most = np.maximum(mean_a, mean_b)
    weighted = 1.0
    if most.any():
        weighted = np.sum(np.minimum(mean_a, mean_b)[most > 0]) / np.sum(most[most > 0])
    return {
        "mse": [float(np.mean((p - q) ** 2)) for p, q in zip(*images, strict=False)],
        "spatiotemporal_iou": [overlap(p, q) for p, q in zip(a, b, strict=True)],
        "spatial_iou": overlap(np.any(a, axis=0), np.any(b, axis=0)),
        "weighted_spatial_iou": float(weighted),
    }


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    union = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def scores(table: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of rows with scenario, view, model and variance (both as of `compare`), every scenario in all views."""
    frames = ("mse", "spatiotemporal_iou")
    scenarios = sorted({row["scenario"] for row in table})
    for row in table:
        for kind in ("model", "variance"):
            row[kind] = row[kind] | {m: [round(v, 4) for v in row[kind][m]] for m in frames}
    model, variance = {}, {}
    for m in frames:
        per_scenario = [[v for r in table if r["scenario"] == s for v in r["model"][m]] for s in scenarios]
        model[m] = np.mean([np.mean(values) for values in per_scenario])
        per_view = [[v for r in table if r["view"] == w for v in r["variance"][m]] for w in VIEWS]
        variance[m] = round(np.mean([np.mean(values) for values in per_view]), 4)
    for m, decimals in (("spatial_iou", 5), ("weighted_spatial_iou", 4)):
        model[m] = np.mean([r["model"][m] for r in table])
        variance[m] = round(np.mean([r["variance"][m] for r in table]), decimals)
    ious = ("spatiotemporal_iou", "spatial_iou", "weighted_spatial_iou")
    raw = 100 * (sum(model[m] / variance[m] for m in ious) / 3 - (model["mse"] - variance["mse"]))
    original = {"score": round(min(max(raw, 0), 100), 2)} | model

    parts = []
    for row in table:
        mean = {kind: {m: np.mean(row[kind][m]) for m in (*frames, *ious[1:])} for kind in ("model", "variance")}
        ratios = {m: mean["model"][m] / (mean["variance"][m] + 1e-8) for m in ious}
        inverse = mean["model"]["mse"] / (mean["variance"]["mse"] + 1e-8)
        ratios["mse"] = np.inf if inverse == 0 else 1 / inverse
        parts.append({m: min(max(value, 0), 1) for m, value in ratios.items()})
    verified = {m: np.mean([part[m] for part in parts]) for m in ("mse", *ious)}
    verified["score"] = 100 * np.mean([np.mean(list(part.values())) for part in parts])
    return {"original": original, "verified": verified}


def evaluate(root: Path, generated: Path, frames: int, *, exact: bool, scratch: Path) -> list[dict[str, Any]]:
    """A row a view, of a complete data set."""
    real = {}
    for path in root.glob("split-videos/*/30FPS/*.mp4"):
        number, _, _, view, take, scenario = re.split("_", path.stem)
        real[scenario, view, take] = (number, path)
    table = []
    for scenario, view in sorted({key[:2] for key in real}):
        (number, first), (_, second) = real[scenario, view, "take-1"], real[scenario, view, "take-2"]
        video = generated / f"{number}_{view}_{scenario}.mp4"
        options = {"exact": exact, "scratch": scratch}
        table.append(
            {
                "scenario": scenario,
                "view": view,
                "model": compare(video, first, first, frames, **options),
                "variance": compare(second, first, first, frames, **options),
            }
        )
    return table
