"""The quality gates' suites as pages of Great Expectations: `make docs`."""
