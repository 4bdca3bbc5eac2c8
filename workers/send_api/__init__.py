"""The Messenger channel: how a message becomes a request, what an answer means. Nothing outside assumes Messenger."""
