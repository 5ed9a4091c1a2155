"""A module that raises while it is imported."""

raise ValueError("raised while the module is imported")
