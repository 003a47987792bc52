"""Files in; arrays out: sound, video, pictures, events. Nothing in a file is trusted."""
