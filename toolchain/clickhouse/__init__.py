"""Programs of the image that stands for ClickHouse's where no registry of images can be reached.

The SQL, the rights, the tables and both protocols are ClickHouse's own: its engine, as a library. TLS is HAProxy's. It
is one server by itself. All this runs in the image by Python's own modules, under the names of the original's programs.
"""
