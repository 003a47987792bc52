"""A recipe and its caches in; checkpoints and the selected weights out."""
