"""Solvers for what MuJoCo does not simulate: gas, heat, and matter made of particles."""
