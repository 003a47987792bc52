"""One file a published system: its blocks in; a network with its loss out."""
