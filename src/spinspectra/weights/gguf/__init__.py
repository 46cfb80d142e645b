"""The GGUF reader: a bounded parser of the header, the order of rows in the model before conversion, and values."""
