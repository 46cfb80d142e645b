"""The Keras reader: `.keras` archives, HDF5 files old and new, live models; names as Keras itself has them."""
