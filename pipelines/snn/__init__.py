"""Spiking blocks: neurons, attention, norms and losses, as functions of whole sequences."""
