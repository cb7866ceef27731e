"""device.toml and the flags that override it: `schema` has every setting, `fields` their types."""
