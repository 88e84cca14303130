"""The commands, one file each: options in, one verb called, a result shown."""
