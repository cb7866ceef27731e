"""Charts and pictures, drawn from the tables in `console.data`, which is all that they import."""
