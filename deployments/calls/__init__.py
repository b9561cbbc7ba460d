"""A call from its body to its images: admission (route, requests, limits), then rendering."""
