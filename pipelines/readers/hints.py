"""What a user can do about a file that a reader refuses: the hints of several readers' errors."""

DOWNLOAD = "run `avsnn download` for its dataset"
# of a clip, which is a file of its own
REPLACE_CLIP = "put a good copy in its place, or leave the clip out"
# of a recording, whose file a data set's archive or server has
FETCH_RECORDING = "fetch the file again, or leave the recording out"
