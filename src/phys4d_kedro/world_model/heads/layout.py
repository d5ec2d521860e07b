"""Which token of a latent frame holds which pixels of which pixel frames, once for all heads.

A token of latent frame k stands for a square of P x P pixels in the r pixel frames r (k - 1) + 1 .. r k; the first
latent frame stands for pixel frame 0 alone. A head puts r x P x P x C numbers out for every token, and those of the
first latent frame but its last slot are dropped. Motion from frame f - 1 to frame f is read at the token that holds
frame f, which has seen both; so all T - 1 motions come out, none averaged over time.

Where a VAE compresses long clips in chunks of `chunk` latent frames (Open-Sora), all this holds for each chunk: the
first latent frame of every chunk stands for one pixel frame.

Letters, in all of this package: B clips, t latent frames, h w tokens down and across, D feature width, T H W pixel
frames, rows, columns, C channels, r temporal compression, P pixels of a token's edge.
"""

import torch


def tokens_to_pixels(tokens: torch.Tensor, temporal: int, pixels: int, chunk: int | None = None) -> torch.Tensor:
    """(B, t, h, w, r P P C) -> (B, 1 + r (t - 1), h P, w P, C), by the layout above; t is chunks, or part of one."""
    B, t, h, w, width = tokens.shape
    if chunk is not None and t > chunk:
        parts = tokens.unflatten(1, (-1, chunk)).flatten(0, 1)
        return tokens_to_pixels(parts, temporal, pixels).unflatten(0, (B, -1)).flatten(1, 2)
    channels = width // (temporal * pixels * pixels)
    blocks = tokens.view(B, t, h, w, temporal, pixels, pixels, channels)
    video = blocks.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, t * temporal, h * pixels, w * pixels, channels)
    return video[:, temporal - 1 :]


def pixels_to_tokens(video: torch.Tensor, temporal: int, pixels: int, chunk: int | None = None) -> torch.Tensor:
    """(B, T, H, W, C) -> (B, t, H/P, W/P, r P P C): the inverse; the first frame fills its unused slots too."""
    B, T, H, W, channels = video.shape
    if chunk is not None and 1 + temporal * (chunk - 1) < T:
        parts = video.unflatten(1, (-1, 1 + temporal * (chunk - 1))).flatten(0, 1)
        return pixels_to_tokens(parts, temporal, pixels).unflatten(0, (B, -1)).flatten(1, 2)
    padded = torch.cat([video[:, :1].expand(-1, temporal - 1, -1, -1, -1), video], dim=1)
    h, w = H // pixels, W // pixels
    blocks = padded.reshape(B, -1, temporal, h, pixels, w, pixels, channels).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return blocks.reshape(B, (T - 1) // temporal + 1, h, w, temporal * pixels * pixels * channels)
