"""Listed files in; clips out: paired, labelled and split, with a leak audit."""
