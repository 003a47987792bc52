"""Arrays in; arrays out: resampling, noise, crops, delays, models of a camera and a cochlea."""
