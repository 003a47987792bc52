"""A data set's manifest in; its verified source files on the disk out."""
