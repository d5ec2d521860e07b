"""How the stages of `evaluation.comparison.STAGES` are called where they are compared."""

STAGE_LABELS = {
    "stage1": "stage 1: heads alone",
    "appearance_control": "appearance-only control",
    "sft": "stage 2: SFT",
    "rl": "stage 3: RL",
}
"""By what was trained."""

ROW_LABELS = {
    "stage1": "video model",
    "appearance_control": "+ appearance-only control",
    "sft": "+ stages 1-2",
    "rl": "+ stage 3",
}
"""By what is added to the video model, as in the table of results; stage 1 leaves its RGB as it is."""
