"""One ray-casting renderer for every image output of the simulation, on CPU and GPU with the same code."""
