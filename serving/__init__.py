"""Where Lectern runs online: Ray Serve deployments behind an API in OpenAI's shape."""
