"""A stand-in for the Messenger Platform, as a process of its own, and in it the witness that judges what we sent.

It imports nothing of the product: it has its own clock reader, its own people and its own truth.
"""
