"""What clips of every category cost: simulation, rendering, whole clips, bytes; how cost grows; the paper's set.

    python benchmarks/categories.py                      # everything, one part after the other
    python benchmarks/categories.py --only fluids memory # these anew, the rest as it was
    python benchmarks/categories.py --resume             # what an interrupted run left out
    python benchmarks/categories.py --table              # the tables of docs/scale.md, from the results
    python benchmarks/categories.py --paper              # what the paper's set would take, from the results

Times are of one core: CPU time of this process, one thread, kernels compiled before. Some scenes of each category are
simulated for as long as their clips last, at 8 and at 60 frames a second, and seen as their first clip sees them.
Images and their bytes are of successive frames in the middle of the simulation at 60 frames a second; whole clips are
as the pipeline makes them, 64x64 at 8 frames a second, coded. The results are kept scene by scene.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the processes that make clips
os.environ["TQDM_DISABLE"] = "1"  # a line a part is enough

import numpy as np
import warp as wp
from _conf import ROOT, parameters
from _scale import PAPER_SIZE, averaged, exponent, paper_table, tables

from phys4d_kedro.clips.clip import ARRAY_SPEC, Clip
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.shards import encode_clip, write_shards
from phys4d_kedro.errors import InvalidClipError, Phys4DError
from phys4d_kedro.simulation.annotate import check_consistency, track_points
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.generate import ClipKey, build_scene, draw_simulation, make_clip, simulation_source
from phys4d_kedro.simulation.physics import roll_out
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, load_kernels, render
from phys4d_kedro.simulation.rendering.scene import Body, CameraPath, Mesh, RenderScene, Shape, Surface
from phys4d_kedro.simulation.rendering.stretches import part
from phys4d_kedro.simulation.rendering.upload import upload
from phys4d_kedro.simulation.scenes import SCENES

RESULTS = ROOT / "benchmarks" / "results" / "categories.json"
FPS, PAPER_FPS = 8, 60
CLIPS = 3  # a scene
CAMERA = 2  # the stream of random numbers from which generate.py draws cameras
REPETITIONS = 3
KINDS = ("convex mesh", "concave mesh", "surface")
SLOW_UPLOAD = 0.5  # seconds, after which a kind of mesh is not tried with more triangles

Row = dict[str, Any]
Lines = list[Sequence[Any]]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """What is measured of each category; figures of other settings are not resumed."""

    scenes_per_category: int
    sizes: tuple[str, ...]
    frames: int


def main() -> None:
    growth: dict[str, Callable[[], Any]] = {"clips": time_clips, "triangles": time_triangles, "memory": measure_memory}
    options = parse([*selection(1), *growth])
    settings = Settings(options.scenes_per_category, tuple(map(label, options.sizes.split(","))), options.frames)
    results: Row = json.loads(options.results.read_text()) if options.results.exists() else {}
    if not options.table and not options.paper:
        load_kernels()
        results = {"categories": {}, **results, "cores": os.cpu_count()}
        for name in options.only or [*selection(1), *growth]:
            if name not in growth:
                measure_category(name, settings, results, options)
            elif not (options.resume and name in results):
                results[name] = growth[name]()
                keep(results, options.results)
                print(f"{name}: done", flush=True)
    if not options.paper:
        print("\n\n".join(tables(results)))
    if not options.table:
        print("\n" + paper_table(results))


def parse(parts: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=parts, help="measure these parts")
    parser.add_argument("--scenes-per-category", type=int, default=2, help="spread over the category's list")
    parser.add_argument("--sizes", default="64,256,512,1080p", help="sides of square images, or 1080p")
    parser.add_argument("--frames", type=int, default=17, help="of a whole clip, 1 + 4k")
    parser.add_argument("--resume", action="store_true", help="keep what was measured with the same settings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that keeps the figures")
    parser.add_argument("--table", action="store_true", help="print the tables, measure nothing")
    parser.add_argument("--paper", action="store_true", help="print the extrapolation, measure nothing")
    return parser.parse_args()


def selection(scenes_per_category: int) -> dict[str, list[str]]:
    """Scenes of every category to measure: all, or that many at even distances in the order of their names."""
    chosen = {}
    for category in sorted({scene.category for scene in SCENES.values()}):
        names = sorted(name for name, scene in SCENES.items() if scene.category == category)
        count = min(scenes_per_category, len(names))
        chosen[category] = [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]
    return chosen


def label(size: str) -> str:
    """ "64" -> "64x64", "1080p" -> "1080x1920": rows x columns."""
    return PAPER_SIZE if size == "1080p" else f"{int(size)}x{int(size)}"


def measure_category(category: str, settings: Settings, results: Row, options: argparse.Namespace) -> None:
    """Measure the chosen scenes; each is kept as soon as it is done, or why it could not be measured."""
    known = json.loads(json.dumps(asdict(settings)))
    entry: Row = results["categories"].get(category, {})
    if not options.resume or entry.get("settings") != known:
        total = sum(scene.category == category for scene in SCENES.values())
        entry = {"settings": known, "scenes_in_all": total, "scenes": {}}
        results["categories"][category] = entry
    for name in selection(settings.scenes_per_category)[category]:
        if "error" not in entry["scenes"].get(name, {"error": "not measured"}):
            continue
        started = time.perf_counter()
        try:
            entry["scenes"][name] = measure_scene(name, settings)
        except Phys4DError as error:
            entry["scenes"][name] = {"error": str(error)}
        keep(results, options.results)
        outcome = entry["scenes"][name].get("error", "done")
        print(f"{category}, {name}: {outcome} in {time.perf_counter() - started:.0f} s", flush=True)


def measure_scene(name: str, settings: Settings) -> Row:
    """Figures of one scene."""
    config = configure([name], 64, settings.frames)
    key = ClipKey("train", 0, 0, 0)
    simulation = draw_simulation(config, key)  # the kernels of its solvers are compiled now
    clips = [measure_clip(config, replace(key, simulation=number)) for number in range(CLIPS)]
    simulate = partial(roll_out, simulation.description, seed=key.simulation)
    spanned = (settings.frames - 1) / FPS
    frames = round(spanned * PAPER_FPS) + 1
    seconds, _ = timed(partial(simulate, frames=settings.frames, fps=FPS))
    seconds_60, rollout = timed(partial(simulate, frames=frames, fps=PAPER_FPS))
    images = {}
    for size in settings.sizes:
        height, width = map(int, size.split("x"))
        seen = config.model_copy(update={"height": height, "width": width, "frames": frames, "fps": PAPER_FPS})
        camera = Draw(key.rng(config.seed, CAMERA, clips[0]["camera_redraws"]))
        scene, _ = build_scene(seen, replace(simulation, rollout=rollout), camera, key)
        images[size] = measure_images(seen, scene)
    return {
        "simulation_ms_a_frame": 1e3 * seconds / settings.frames,
        "simulation_ms_a_60th": 1e3 * seconds / (spanned * PAPER_FPS),
        "simulation_ms_a_frame_at_60": 1e3 * seconds_60 / (spanned * PAPER_FPS),
        "clip": averaged(clips),
        "images": images,
    }


def measure_clip(config: SimulationConfig, key: ClipKey) -> Row:
    """A clip as the pipeline makes and codes it; a redraw of the simulation may be dropped before it runs."""
    seconds, clip = timed(partial(make_clip, config, key))
    coding, encoded = timed(partial(encode_clip, clip, ClipCoding()))
    redraws = encoded.row["redraws"]
    of_simulation = draw_simulation(config, key).dropped.total() if redraws else 0
    return {
        "seconds": seconds + coding,
        "bytes": sum(len(payload) for _, payload in encoded.members),
        "valid_motion": encoded.row["motion_valid_share"],
        "finite_depth": encoded.row["depth_valid_share"],
        "simulation_redraws": of_simulation,
        "camera_redraws": redraws - of_simulation,
    }


def measure_images(config: SimulationConfig, scene: RenderScene) -> Row:
    """Milliseconds a frame of rendering, of annotating with the check of every clip, and of coding; bytes a frame of
    every array. Large images get fewer frames."""
    height, width = config.height, config.width
    frames = min(17 if height * width <= 128**2 else 5, scene.frames)
    start = (scene.frames - frames) // 2
    middle = part(scene, start, start + frames)
    draw = partial(render, middle, height, width, samples=config.samples, seed=0)
    rendered = [timed(draw) for _ in range(REPETITIONS if frames > 5 else 1)]
    annotating, clip = timed(partial(annotate, config, middle, rendered[0][1]))
    checking, consistent = timed(partial(is_consistent, clip))
    coding, encoded = timed(partial(encode_clip, clip, ClipCoding()))
    return {
        "render_ms": 1e3 * statistics.median(seconds for seconds, _ in rendered) / frames,
        "annotate_ms": 1e3 * (annotating + checking) / frames,
        "code_ms": 1e3 * coding / frames,
        # Of the first chunk, since a last one that is short would not pay for its own headers.
        "bytes": {
            key: layout["ends"][0] / min(layout["rows"], layout["shape"][0])
            for key, layout in encoded.layouts.items()
            if ARRAY_SPEC[key][0].startswith("T")
        },
        "consistent": float(consistent),
    }


def annotate(config: SimulationConfig, scene: RenderScene, image: RenderOutput) -> Clip:
    """The clip of these images."""
    clip = Clip(
        clip_id="measured",
        fps=config.fps,
        source="simulation",
        intrinsics=scene.camera.intrinsics,
        world_from_camera=scene.camera.world_from_camera,
        **vars(image),
    )
    return clip.with_(**track_points(scene, image, config.track_points, np.random.default_rng(0)))


def is_consistent(clip: Clip) -> bool:
    """Whether depth and motion agree, as they must in every clip that is kept."""
    with suppress(InvalidClipError):
        check_consistency(clip)
        return True
    return False


def time_clips() -> Row:
    """Seconds of sets of one scene's clips, written as shards, against their number: medians, and the exponent."""
    seconds: dict[int, float] = {}
    for count in (4, 8, 16, 32):
        config = configure(["ball_collide"], 64, 17, train={"clips": count})
        taken = []
        for _ in range(REPETITIONS):
            with tempfile.TemporaryDirectory() as folder:
                write = partial(write_shards, simulation_source(config, "train"), folder, clips_per_shard=4)
                taken.append(timed(write)[0])
        seconds[count] = statistics.median(taken)
    return {"seconds": seconds, "exponent": exponent(seconds)}


def time_triangles() -> Row:
    """Milliseconds of uploading a sphere, and of uploading and rendering it at 512x512, against its triangles: the
    least of repetitions; exponents over all sizes and over the last two."""
    row: Row = {}
    for kind in KINDS:
        measured: dict[str, dict[int, float]] = {"upload": {}, "both": {}}
        for segments in (32, 64, 128, 256, 512, 1024):  # about 1 k to 1 M triangles
            scene, triangles = sphere_scene(kind, segments)
            draw = partial(render, scene, 512, 512, samples=8, seed=0)
            with wp.ScopedDevice("cpu"):
                uploading = min(timed(partial(upload, scene, 512, 512))[0] for _ in range(REPETITIONS))
            measured["upload"][triangles] = 1e3 * uploading
            measured["both"][triangles] = 1e3 * min(timed(draw)[0] for _ in range(REPETITIONS))
            if uploading > SLOW_UPLOAD:
                break
        row[kind] = {"ms": measured, "exponent": {}, "last_exponent": {}}
        for what, milliseconds in measured.items():
            row[kind]["exponent"][what] = exponent(milliseconds)
            row[kind]["last_exponent"][what] = exponent(dict(list(milliseconds.items())[-2:]))
    return row


def sphere_scene(kind: str, segments: int) -> tuple[RenderScene, int]:
    """A sphere of segments x segments / 2 quads before a camera, and its number of triangles."""
    rings = segments // 2
    turn, tilt = np.meshgrid(np.arange(segments) * 2 * np.pi / segments, np.linspace(0, np.pi, rings + 1))
    vertices = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)], -1)
    points = vertices.reshape(-1, 3).astype(np.float32)
    place = np.arange(len(points), dtype=np.int32).reshape(rings + 1, segments)
    upper, lower = place[:-1], place[1:]
    quads = [(upper, lower, np.roll(lower, -1, 1)), (upper, np.roll(lower, -1, 1), np.roll(upper, -1, 1))]
    faces = np.concatenate([np.stack(corners, -1).reshape(-1, 3) for corners in quads])
    if kind == "concave mesh":
        points[:segments] *= 0.9  # a dent in its pole
    surface = kind == "surface"
    shape: Shape = Surface(vertices=[points], faces=[faces]) if surface else Mesh(vertices=points, faces=faces)
    pose = np.array([[1.0, 0, 0, 0], [0, 0, 1, -3], [0, -1, 0, 0], [0, 0, 0, 1]])  # looks along y
    intrinsics = np.array([[512.0, 0, 256], [0, 512, 256], [0, 0, 1]])
    camera = CameraPath(intrinsics=intrinsics, world_from_camera=pose[None])
    return RenderScene(bodies=[Body(shape=shape, instance=1)], poses=np.eye(4)[None, None], camera=camera), len(faces)


def measure_memory() -> dict[str, Row]:
    """Megabytes of a clip's arrays, and by how much making and coding it raises the peak of a fresh process."""
    figures = {}
    for size in (256, 512, 1024):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures[f"17x{size}x{size}"] = pool.submit(peak_of_clip, size).result()
    return figures


def peak_of_clip(size: int) -> Row:
    """Of this process, MB: what it holds once all is loaded, and how far a clip of this size raises that."""
    key = ClipKey("train", 0, 0, 0)
    encode_clip(make_clip(configure(["ball_collide"], 32, 17), key), ClipCoding())
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is held now (Linux)
    before = peak_mb()
    clip = make_clip(configure(["ball_collide"], size, 17), key)
    encode_clip(clip, ClipCoding())
    arrays = sum(array.nbytes for array in clip.arrays().values()) / 2**20
    return {"loaded_mb": before, "arrays_mb": arrays, "added_mb": peak_mb() - before}


def peak_mb() -> float:
    """The most memory that this process has held; `getrusage` would count what its parent held."""
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def configure(scenes: list[str], size: int, frames: int, **changes: Any) -> SimulationConfig:
    """Conf's simulation, of these scenes."""
    chosen = {"scenes": scenes, "unseen": None, "height": size, "width": size, "frames": frames, "fps": FPS}
    return SimulationConfig.model_validate(parameters("simulation") | chosen | changes)


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of CPU time that a call takes, and what it gives."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def keep(results: Row, path: Path) -> None:
    """Write the results; a run that is stopped meanwhile leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(results, indent=1) + "\n")
    whole.replace(path)


if __name__ == "__main__":
    main()
