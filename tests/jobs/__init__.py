"""Tests of the bulk jobs."""
