"""Sources that do not push: their feeds are fetched page by page and reported like any other activity."""
