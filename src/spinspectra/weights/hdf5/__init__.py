"""A reader of the part of HDF5 that h5py writes, every step held against the end of the file.

h5py is not used on files of strangers: of 7,000 garbled ones, 7 ended the process in a segmentation fault, one ran past
10 seconds, and 7 took up to 2.9 GB. No check around a library keeps it from crashing.
"""
