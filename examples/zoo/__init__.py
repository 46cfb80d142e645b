"""A zoo of small networks that differ in how they were made, to see which measure of weights tells the good ones."""
