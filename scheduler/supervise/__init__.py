"""Runs Duly's processes on one machine: starts them, restarts what dies, and leaves nothing behind."""
