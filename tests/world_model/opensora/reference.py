"""STDiT3 once more, as the published implementation computes it, from a state dict and in float64.

Prompts of a batch are packed into one sequence; every modulation is computed for the clip's timestep and for timestep
0, then chosen by `x_mask`; rotary embedding is by complex numbers; positions are looked up token by token.
"""

import math

import torch
from torch.nn import functional

State = dict[str, torch.Tensor]


def stdit3(
    state: State,
    x: torch.Tensor,
    timestep: torch.Tensor,
    *,
    y: torch.Tensor,
    mask: torch.Tensor,
    x_mask: torch.Tensor,
    fps: torch.Tensor,
    heads: int,
    scale: float,
) -> torch.Tensor:
    """(B, C, T, H, W), timesteps (B,), prompts (B, L, width), which count (B, L), noisy frames (B, T) -> output."""
    state = {name: value.double() for name, value in state.items()}
    x, y, timestep, fps = x.double(), y.double(), timestep.double(), fps.double()
    B, _, T, H, W = x.shape
    h, w = H // 2, W // 2
    patches = x.reshape(B, -1, T, h, 2, w, 2).permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(1, 3)
    x = patches @ state["x_embedder.proj.weight"].flatten(1).T + state["x_embedder.proj.bias"]
    width = x.shape[-1]
    x = x + torch.stack([position((i, j), (h, w), width, scale) for i in range(h) for j in range(w)]).repeat(T, 1)

    rate = number(state, "fps_embedder", fps)
    t, t0 = number(state, "t_embedder", timestep) + rate, number(state, "t_embedder", 0 * timestep) + rate
    t6, t06 = (linear(state, "t_block.1", functional.silu(value)) for value in (t, t0))
    text = linear(state, "y_embedder.y_proj.fc1", y)
    text = linear(state, "y_embedder.y_proj.fc2", functional.gelu(text, approximate="tanh"))
    packed, owner = text[mask.bool()], torch.arange(B)[:, None].expand_as(mask)[mask.bool()]

    noisy = x_mask.repeat_interleave(h * w, 1)[..., None]  # B, (T S), 1
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("spatial_blocks"))
    for index in range(depth):
        for kind in ("spatial", "temporal"):
            block = {
                name.removeprefix(f"{kind}_blocks.{index}."): value
                for name, value in state.items()
                if name.startswith(f"{kind}_blocks.{index}.")
            }
            tables = [block["scale_shift_table"] + value.reshape(B, 6, width) for value in (t6, t06)]
            shift1, scale1, gate1, shift2, scale2, gate2 = (
                torch.where(noisy, *(table[:, part, None] for table in tables)) for part in range(6)
            )
            z = norm(x) * (1 + scale1) + shift1
            z = z.reshape(B, T, h * w, width)
            z = z if kind == "spatial" else z.transpose(1, 2)
            z = torch.stack([self_attention(block, s, heads, kind == "temporal") for s in z.flatten(0, 1)])
            z = z.reshape(B, T, h * w, width) if kind == "spatial" else z.reshape(B, h * w, T, width).transpose(1, 2)
            x = x + gate1 * z.flatten(1, 2)
            x = x + packed_attention(block, x, packed, owner, heads)
            z = linear(block, "mlp.fc1", norm(x) * (1 + scale2) + shift2)
            x = x + gate2 * linear(block, "mlp.fc2", functional.gelu(z, approximate="tanh"))

    table = state["final_layer.scale_shift_table"]
    shift, scale_ = (torch.where(noisy, (t + row)[:, None], (t0 + row)[:, None]) for row in table)
    x = linear(state, "final_layer.linear", norm(x) * (1 + scale_) + shift)
    return x.reshape(B, T, h, w, 2, 2, -1).permute(0, 6, 1, 2, 4, 3, 5).reshape(B, -1, T, H, W)


def linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()


def number(state: State, name: str, values: torch.Tensor) -> torch.Tensor:
    frequencies = torch.tensor([math.exp(-math.log(10_000) * k / 128) for k in range(128)]).double()
    angles = values[:, None] * frequencies
    waves = torch.cat([angles.cos(), angles.sin()], 1)
    return linear(state, f"{name}.mlp.2", functional.silu(linear(state, f"{name}.mlp.0", waves)))


def position(token: tuple[int, int], grid: tuple[int, int], width: int, scale: float) -> torch.Tensor:
    """The position of one token (row, column): sines and cosines of its column, then those of its row."""
    edge = round(math.sqrt(math.prod(grid)))
    values = []
    for place, tokens in zip(reversed(token), reversed(grid), strict=True):
        coordinate = place / scale * edge / tokens
        angles = [coordinate / 10_000 ** (2 * k / (width / 2)) for k in range(width // 4)]
        values += [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
    return torch.tensor(values, dtype=torch.float64)


def rotate(x: torch.Tensor, place: int) -> torch.Tensor:
    """Channels (0, 1), (2, 3), ... of x (width,) as complex numbers, turned."""
    width = len(x)
    turn = torch.tensor([place / 10_000 ** (2 * k / width) for k in range(width // 2)], dtype=torch.float64)
    return torch.view_as_real(torch.view_as_complex(x.reshape(-1, 2)) * torch.exp(1j * turn)).flatten()


def self_attention(block: State, x: torch.Tensor, heads: int, turned: bool) -> torch.Tensor:
    """One sequence (N, width)."""
    q, k, v = linear(block, "attn.qkv", x).reshape(len(x), 3, heads, -1).unbind(1)
    q, k = (
        block[f"attn.{name}_norm.weight"] * value / (value.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        for name, value in (("q", q), ("k", k))
    )
    if turned:
        q, k = (torch.stack([torch.stack([rotate(h, i) for h in row]) for i, row in enumerate(s)]) for s in (q, k))
    weights = torch.einsum("nhd,mhd->hnm", q, k).div(q.shape[-1] ** 0.5).softmax(-1)
    return linear(block, "attn.proj", torch.einsum("hnm,mhd->nhd", weights, v).flatten(1))


def packed_attention(
    block: State, x: torch.Tensor, packed: torch.Tensor, owner: torch.Tensor, heads: int
) -> torch.Tensor:
    """Tokens (B, N, width) of all clips as one sequence, each of which sees the prompt tokens of its own clip."""
    B, N, width = x.shape
    q = linear(block, "cross_attn.q_linear", x).reshape(B * N, heads, -1)
    k, v = linear(block, "cross_attn.kv_linear", packed).reshape(len(packed), 2, heads, -1).unbind(1)
    scores = torch.einsum("nhd,mhd->hnm", q, k) / q.shape[-1] ** 0.5
    own = torch.arange(B).repeat_interleave(N)[:, None] == owner
    weights = scores.masked_fill(~own, -torch.inf).softmax(-1)
    return linear(block, "cross_attn.proj", torch.einsum("hnm,mhd->nhd", weights, v).reshape(B, N, width))
