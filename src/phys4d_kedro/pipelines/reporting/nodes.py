"""Nodes of the reporting pipeline: results, predictions and histories -> figures, sheets and the report.

Figures are annotated as `Any`: Kedro resolves the annotations of nodes when pipelines are listed, and neither Plotly
nor Matplotlib shall be imported then.
"""

from dataclasses import asdict
from typing import Any

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.config import ReportingConfig


def plot_results(
    metrics: dict[str, Any], table: pd.DataFrame, parameters: ReportingConfig
) -> tuple[Any, Any, Any, Any]:
    """Compare all predictors in depth and in motion, in the whole and by scene (Plotly figures)."""
    from phys4d_kedro.reporting.figures import compare_predictors, compare_scenes
    from phys4d_kedro.reporting.sections import predictor_order

    order = predictor_order(metrics, parameters.predictor)
    return (
        compare_predictors(metrics, "abs_rel", order),
        compare_predictors(metrics, "epe", order),
        compare_scenes(table, "abs_rel", "image", order),
        compare_scenes(table, "epe", "objects", order),
    )


def plot_training(*histories: pd.DataFrame) -> Any:
    """Loss curves of every stage (a Plotly figure)."""
    from phys4d_kedro.reporting.figures import loss_curves

    return loss_curves(histories)


def plot_validations(*validations: pd.DataFrame) -> Any:
    """Losses of validation clips while stage 2 and its control are trained, part by part (a Plotly figure)."""
    from phys4d_kedro.reporting.figures import validation_curves

    return validation_curves(validations)


def plot_rewards(validations: pd.DataFrame) -> Any:
    """Rewards by both judges while policies are trained (a Plotly figure)."""
    from phys4d_kedro.reporting.figures import reward_curves

    return reward_curves(validations)


def collect_facts(
    *,
    train: ClipStore,
    heldout: ClipStore,
    real: ClipStore,
    labeled: ClipStore,
    table: pd.DataFrame,
    durations: dict[str, float],
    parameters: ReportingConfig,
) -> dict[str, Any]:
    """Note what ran: the sizes of all sets, the trainings, the machine, and how long each node took."""
    from phys4d_kedro.reporting import sections

    sets = _sets(train, heldout, real, labeled)
    seeds = table.loc[table["predictor"] == parameters.predictor, "seed"].nunique(dropna=False)
    return asdict(sections.collect_facts(heldout, sets, durations, seeds))


def plot_clips(
    train: ClipStore, heldout: ClipStore, real: ClipStore, labeled: ClipStore, parameters: ReportingConfig
) -> tuple[Any, Any]:
    """Show the clips per scene, and how deep the pixels are, of every set (Plotly figures)."""
    from phys4d_kedro.reporting.figures import clips_per_scene, depth_distribution
    from phys4d_kedro.reporting.sections import sample_depths

    sets = _sets(train, heldout, real, labeled)
    manifests = {name: store.manifest for name, store in sets.items()}
    samples = {
        name: sample_depths(store, clips=parameters.depth_clips, pixels=parameters.depth_pixels, seed=parameters.seed)
        for name, store in sets.items()
    }
    return clips_per_scene(manifests), depth_distribution(samples)


def draw_sheets(
    heldout: ClipStore, predictions: ClipStore, table: pd.DataFrame, parameters: ReportingConfig
) -> dict[str, Any]:
    """Draw RGB, depth and motion, true and predicted, of some held-out clips (Matplotlib figures by file name)."""
    from phys4d_kedro.reporting.examples import read_examples
    from phys4d_kedro.reporting.sheets import draw_sheet
    from phys4d_kedro.reporting.tables import describe_clip

    return {
        f"{example.clip_id}.png": draw_sheet(
            example,
            columns=parameters.sheet_columns,
            caption=describe_clip(table, parameters.predictor, example.clip_id),
        )
        for example in read_examples(heldout, predictions, parameters.predictor, parameters.examples)
    }


def write_report(
    *,
    metrics: dict[str, Any],
    comparison: dict[str, Any],
    simiq: dict[str, Any],
    suite: dict[str, Any],
    heldout: ClipStore,
    predictions: ClipStore,
    worlds: ClipStore,
    facts: dict[str, Any],
    parameters: ReportingConfig,
    **figures: Any,
) -> str:
    """Join everything in one HTML page."""
    from phys4d_kedro.reporting import sections
    from phys4d_kedro.reporting.comparison import comparison_section
    from phys4d_kedro.reporting.examples import read_examples
    from phys4d_kedro.reporting.player import example_player
    from phys4d_kedro.reporting.report import render_report
    from phys4d_kedro.reporting.results import result_columns, result_section, write_verdict
    from phys4d_kedro.reporting.world_players import world_players

    predictor = parameters.predictor
    what_ran = sections.RunFacts(**facts)
    columns = result_columns(simiq, suite, comparison)
    examples = read_examples(heldout, predictions, predictor, parameters.examples)
    return render_report(
        title="What each stage of Phys4D is worth to a small video model",
        headline=write_verdict(columns),
        sections=[
            result_section(columns, simiq),
            sections.worlds_section(list(world_players(worlds, heldout, parameters.worlds))),
            sections.category_section(_pick(figures, "simiq_figure")),
            sections.horizon_section(_pick(figures, "suite_horizons")),
            comparison_section(comparison, _pick(figures, "comparison_margins")),
            sections.training_section(what_ran, _pick(figures, "loss_curves", "validation_curves", "reward_curves")),
            sections.heads_section(
                metrics, predictor, what_ran, _pick(figures, "depth_comparison", "motion_comparison")
            ),
            sections.clips_section([example_player(example) for example in examples], predictor),
            sections.scenes_section(_pick(figures, "depth_by_scene", "motion_by_scene")),
            sections.data_section(what_ran, _pick(figures, "clips_per_scene", "depth_distribution")),
            sections.notes_section(metrics, predictor, what_ran),
        ],
    )


def _sets(train: ClipStore, heldout: ClipStore, real: ClipStore, labeled: ClipStore) -> dict[str, ClipStore]:
    return {"simulated, training": train, "simulated, held out": heldout, "real": real, "labelled": labeled}


def _pick(figures: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: figures[name] for name in names}
