"""Readers that turn four packages into the documents of the book's corpus."""
