"""The reporting pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.hooks import DURATIONS
from phys4d_kedro.pipelines.reporting import nodes

_SETS = ["simulated_clips_train", "simulated_clips_heldout", "real_clips", "labeled_clips"]
_COMPARISONS = ["depth_comparison", "motion_comparison", "depth_by_scene", "motion_by_scene"]
_FIGURES = [*_COMPARISONS, "loss_curves", "validation_curves", "reward_curves", "clips_per_scene", "depth_distribution"]

# Figures of the pipelines before.
_FIGURES_BEFORE = ["simiq_figure", "suite_horizons", "comparison_margins"]


def create_pipeline(**_: object) -> Pipeline:
    """Metrics and figures of all stages, their worlds, predictions, histories, clips -> report, sheets and figures."""
    return Pipeline(
        [
            Node(
                nodes.plot_results,
                inputs=["evaluation_metrics", "evaluation_table", "params:reporting"],
                outputs=_COMPARISONS,
                name="plot_results_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.plot_training,
                inputs=[
                    "autoencoder_history",
                    "transformer_history",
                    "pretrain_history",
                    "sft_history",
                    "appearance_control_history",
                ],
                outputs="loss_curves",
                name="plot_training_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.plot_validations,
                inputs=["sft_validation", "appearance_control_validation"],
                outputs="validation_curves",
                name="plot_validations_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.plot_rewards,
                inputs="rl_validation",
                outputs="reward_curves",
                name="plot_rewards_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.plot_clips,
                inputs=[*_SETS, "params:reporting"],
                outputs=["clips_per_scene", "depth_distribution"],
                name="plot_clips_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.draw_sheets,
                inputs=["simulated_clips_heldout", "predictions", "evaluation_table", "params:reporting"],
                outputs="sheets",
                name="draw_sheets_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.collect_facts,
                inputs={
                    "train": "simulated_clips_train",
                    "heldout": "simulated_clips_heldout",
                    "real": "real_clips",
                    "labeled": "labeled_clips",
                    "table": "evaluation_table",
                    "durations": DURATIONS,
                    "parameters": "params:reporting",
                },
                outputs="run_facts",
                name="collect_facts_node",
                tags=["reporting", "cpu"],
            ),
            Node(
                nodes.write_report,
                inputs={
                    "metrics": "evaluation_metrics",
                    "comparison": "comparison_metrics",
                    "simiq": "simiq_metrics",
                    "suite": "suite_metrics",
                    "heldout": "simulated_clips_heldout",
                    "predictions": "predictions",
                    "worlds": "comparison_clips",
                    "facts": "run_facts",
                    "parameters": "params:reporting",
                    **{name: name for name in (*_FIGURES, *_FIGURES_BEFORE)},
                },
                outputs="report",
                name="write_report_node",
                tags=["reporting", "cpu"],
            ),
        ]
    )
