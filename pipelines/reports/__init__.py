"""Runs in; tables and one HTML page out."""
