"""The flow of one asset: examine, decide, complete, and a person's override."""
