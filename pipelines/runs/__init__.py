"""Recipes in; runs out: the stages, their status, and sweeps of many."""
