"""The stages of a bulk run, one file per stage."""
