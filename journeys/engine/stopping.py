"""Whether this cluster is being stopped: a flag that the worker command sets and its forked processes share.

A stopping worker claims no more; it finishes what it sends, records it and leaves.
"""

import multiprocessing

flag = multiprocessing.get_context("fork").Event()
