"""Clips and a feature in; HDF5 rows with their receipt out."""
