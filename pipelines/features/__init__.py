"""One file a feature: waveforms, pictures or events in; what a network takes out."""
