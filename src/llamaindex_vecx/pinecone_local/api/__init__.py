"""Pinecone's API: a handler for each call, and the reading and writing of its JSON."""
