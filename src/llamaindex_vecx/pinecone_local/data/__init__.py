"""What the local Pinecone keeps and how it is searched: indexes, namespaces, items, filters, models."""
