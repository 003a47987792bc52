"""Blocks without spikes, and what every network returns."""
