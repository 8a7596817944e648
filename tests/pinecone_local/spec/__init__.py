"""Pinecone's OpenAPI files against the local server: ``make pinecone-spec SPEC=folder-or-file``."""
