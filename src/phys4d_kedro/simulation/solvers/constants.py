"""What all solvers take for given."""

GRAVITY = 9.81  # m/s^2, along -z
