"""The HTTP API: routes, authentication, problems and the OpenAPI document."""
