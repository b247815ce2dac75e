"""Reads templates: files into documents with line numbers, and cloud assemblies into templates with their targets."""
