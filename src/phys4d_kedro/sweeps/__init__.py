"""Searches over parameters: what is searched, which trials were made, and the processes that make them.

A trial is any process that leaves files; nothing here knows of Kedro or of what the pipelines do.
"""
