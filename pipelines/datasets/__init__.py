"""One file a data set: its files in; pairs with labels and splits out."""
