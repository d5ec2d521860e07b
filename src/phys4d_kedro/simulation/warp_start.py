"""Starting Warp, quietly."""

import ctypes
import os
from functools import cache

import warp as wp


@cache
def start_warp() -> None:
    """Initialise Warp without its banner. Where there is no NVIDIA driver, Warp says so from C, which only the file
    descriptor keeps off the terminal."""
    wp.config.log_level = wp.LOG_WARNING
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        terminal = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            wp.init()
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            os.close(nowhere)
    else:
        wp.init()
