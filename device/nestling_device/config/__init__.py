"""device.toml and the flags that override it: `schema` lists every setting, `fields` their types."""
