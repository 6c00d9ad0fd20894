"""`make answer`, from a folder of sounds to the report, and `make demo`."""
