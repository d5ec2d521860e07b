"""Matter among rigid bodies: both are stepped together and push each other."""

import math

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.physics import MovingSurface
