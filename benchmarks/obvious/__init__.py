"""The obvious alternative: one Celery task a message, with ``eta``, ``acks_late`` and ``autoretry_for``.

What a careful programmer writes in an afternoon: the row is read, the person's opt-out and window are looked at, the
message is posted, the row is marked. Not a straw man: pooled connections, timeouts, late acks so that a killed worker's
task runs again, retries with backoff and jitter, a row that says ``sent`` so that a task that runs again finds its work
done.
"""
