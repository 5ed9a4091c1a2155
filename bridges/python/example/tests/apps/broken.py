"""A module that cannot be imported."""

settings = {}["missing"]
