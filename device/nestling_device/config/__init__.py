"""The device's configuration: `schema` lists the settings, `fields` validates their values."""

__all__ = ["fields", "schema"]
