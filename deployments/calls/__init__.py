"""One call from the request's body to its images: routing, idempotency, rate limits."""
