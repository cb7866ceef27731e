"""The checks of `nestling-device doctor`: one module for each place where something can be wrong."""
