"""The stages of `app` in bulk, on Ray: `bulk.py` is the whole flow in order, one file per stage."""
