"""Orders: a JSON API with typed input, credentials, CORS, rate limits, ETags, a pool, metrics and OpenAPI."""
