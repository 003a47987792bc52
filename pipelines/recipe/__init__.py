"""A YAML file and overrides in; a checked, resolved recipe out, or every error with its line."""
