"""Nodes of the gallery pipeline.

Pictures and figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and neither Pillow
nor Matplotlib shall be imported then.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.gallery_config import GalleryConfig
from phys4d_kedro.simulation.config import MachinesConfig, SimulationConfig


def make_gallery_clips(simulation: SimulationConfig, parameters: GalleryConfig) -> ClipSource:
    """Draw, simulate, render and annotate a clip of every scene, shard by shard as they are saved."""
    from phys4d_kedro.simulation.generate import simulation_source

    shown = parameters.model_dump(include={"height", "width", "frames", "fps", "samples"})
    changes = shown | {
        "scenes": _scenes(parameters),
        "camera": parameters.camera,
        "unseen": None,
        "machines": MachinesConfig(),
    }
    return simulation_source(simulation.model_copy(update=changes), "gallery")


def draw_gallery_sheets(clips: ClipStore, parameters: GalleryConfig) -> dict[str, Any]:
    """Show every scene of a category with its prompt and annotations, a picture a category (Pillow images)."""
    from phys4d_kedro.reporting.gallery import scenes_by_category

    return {category: _sheet(shown, parameters) for category, shown in scenes_by_category(clips)}


def draw_gallery_overview(clips: ClipStore, parameters: GalleryConfig) -> tuple[Any, Any]:
    """Show how every scene begins and ends, on one picture (a Pillow image, and the same as a Matplotlib figure)."""
    from phys4d_kedro.reporting.gallery import as_figure, draw_overview, scenes_by_category, within

    shown = [*scenes_by_category(clips, rgb_alone=True)]
    overview = within(parameters.sheet_bytes, lambda side: draw_overview(shown, side=side))
    return overview, as_figure(overview)


def draw_attribute_distributions(simulation: SimulationConfig, parameters: GalleryConfig) -> dict[str, Any]:
    """Show how the attributes of each category's scenes, and of looks and cameras, fall in their declared ranges.

    Nothing is simulated: configurations are drawn anew, by the seed of the simulation (Matplotlib figures by file).
    """
    from phys4d_kedro.reporting.distributions import collect_attributes, collect_looks, draw_distributions
    from phys4d_kedro.simulation.scenes import SCENES

    names = _scenes(parameters)
    collect = partial(collect_attributes, draws=parameters.draws, seed=simulation.seed)
    attributes = {
        category: collect([name for name in names if SCENES[name].category == category])
        for category in sorted({SCENES[name].category for name in names})
    }
    attributes["looks_and_camera"] = collect_looks(names, simulation, draws=parameters.draws)
    return {
        f"{name}.png": draw_distributions(
            shown, title=f"{name.replace('_', ' ')}: what is drawn, and (lines) from what"
        )
        for name, shown in attributes.items()
    }


def _sheet(clips: Sequence[Clip], parameters: GalleryConfig) -> Any:
    from phys4d_kedro.reporting.gallery import draw_sheet, within

    return within(parameters.sheet_bytes, lambda side: draw_sheet(clips, side=side))


def _scenes(parameters: GalleryConfig) -> list[str]:
    from phys4d_kedro.simulation.scenes import SCENES

    return [*SCENES] if parameters.scenes is None else parameters.scenes
