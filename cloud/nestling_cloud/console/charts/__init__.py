"""Charts and pictures, drawn from the tables in `console.data`. Imports no other console room."""

__all__ = ["echarts", "input_pictures"]
