"""The disk: artefacts published whole, locked and sealed; room, temporary names, user paths."""
