"""A recipe in; the key and the place of each artefact out, without making any."""
