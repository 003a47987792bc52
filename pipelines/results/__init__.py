"""What the stages of a run leave: schemas of its JSON files, and figures from predictions."""
