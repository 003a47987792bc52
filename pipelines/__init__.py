"""The work behind the command line. Folders in the order of the data: none imports a later one."""
