"""Share the frozen weights of a transformer between the processes of a training, each holding a part (FSDP2)."""

import warnings

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training import ranks


def shard_frozen(transformer: nn.Module) -> None:
    """Split all weights that need no gradient evenly over the processes, in place; alone, do nothing.

    A block's weights are put together when it runs, in the forward and again in the backward pass, and dropped after
    it. Trainable weights (an adapter's) stay whole and plain in every process, so optimiser, checkpoints, moving
    averages and `ranks.mean_gradients` treat them as ever. The sums are those of the whole model.

    From then on the processes run the transformer equally often, or they wait for each other without end; it stays on
    its device (no offloading); and the frozen weights can no longer be saved or merged from this process.

    Raises:
        ConfigurationError: nothing of it is trainable, so that there is no adapter yet to leave out.
    """
    if ranks.world_size() == 1:
        return
    trainable = {parameter for parameter in transformer.parameters() if parameter.requires_grad}
    if not trainable:
        raise ConfigurationError("no weight of the transformer is trainable: add the adapter before sharing it out")
    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (ranks.world_size(),))
    # It warns of changes in place to what the transformer returns; nothing here makes any.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
    for blocks in transformer.children():
        if isinstance(blocks, nn.ModuleList):
            for block in blocks:
                fully_shard(block, mesh=mesh, ignored_params=trainable, reshard_after_forward=True)
    # What lies outside of the blocks is small, and the heads' readings need it after the forward pass.
    fully_shard(transformer, mesh=mesh, ignored_params=trainable, reshard_after_forward=False)
