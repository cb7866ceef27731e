"""The checks of `nestling-device doctor`: one module for each place that can be at fault."""
