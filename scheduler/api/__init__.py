"""The REST API and the webhook: front doors that speak HTTP."""
