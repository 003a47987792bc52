"""Numbers in; pictures out, all in one style."""
