"""What happens outside: Celery tasks and the network."""
