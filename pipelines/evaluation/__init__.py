"""A trained run in; its results on the test set out."""
