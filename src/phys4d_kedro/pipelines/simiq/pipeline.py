"""The simiq pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.simiq import nodes


def create_pipeline(**_: object) -> Pipeline:
    """A frozen list, backbone, models of all stages -> simiq_clips, simiq_worlds, _scores, _metrics, a figure."""
    return Pipeline(
        [
            Node(
                nodes.simulate_simiq_clips,
                inputs="params:simiq",
                outputs="simiq_clips",
                name="simulate_simiq_clips_node",
                tags=["simiq", "cpu"],
            ),
            Node(
                nodes.generate_simiq_worlds,
                inputs={
                    "backbone": "backbone",
                    "clips": "simiq_clips",
                    "parameters": "params:simiq",
                    "evaluation": "params:evaluation",
                    "loading": "params:world_model",
                    # By the names of `evaluation.comparison.STAGES`, in their order.
                    "stage1": "heads",
                    "appearance_control": "appearance_control_models",
                    "sft": "sft_models",
                    "rl": "rl_models",
                },
                outputs="simiq_worlds",
                name="generate_simiq_worlds_node",
                tags=["simiq", "gpu"],
            ),
            Node(
                nodes.measure_simiq,
                inputs=["simiq_worlds", "simiq_clips", "params:simiq"],
                outputs="simiq_scores",
                name="measure_simiq_node",
                tags=["simiq", "cpu"],
            ),
            Node(
                nodes.summarise_simiq,
                inputs=["simiq_scores", "params:simiq"],
                outputs="simiq_metrics",
                name="summarise_simiq_node",
                tags=["simiq", "cpu"],
            ),
            Node(
                nodes.plot_simiq,
                inputs="simiq_metrics",
                outputs="simiq_figure",
                name="plot_simiq_node",
                tags=["simiq", "cpu"],
            ),
        ]
    )
