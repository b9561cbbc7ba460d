"""Machines that come and go: how a worker leaves in good order, and the proofs that it may."""
