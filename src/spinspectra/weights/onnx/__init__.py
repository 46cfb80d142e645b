"""The ONNX reader: a walk over the file that notes where each tensor's bytes lie (`wire`, `messages`, `graph`), what
the initialisers are used as and called (`uses`, `names`), and their values, one at a time (`data`, `quantised`).

onnx.load reads the whole file into memory, and makes large structures of small hostile files: a BERT-base export of
531 MB took 1014 MiB and 0.68 s of CPU, here its headers take 0.8 MiB and 0.02 s.
"""
