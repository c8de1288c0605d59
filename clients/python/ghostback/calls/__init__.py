"""The calls of each service, which `ghostback.client.Client` puts together."""
