"""The benchmark of sharing: teams, previews and models on one engine and in one run."""
