"""Python's cycle collector, in processes that make and drop thousands of values a second for weeks."""

import gc

YOUNG = 20_000


def spare_collector() -> None:
    """Look for cycles less often, and never among what is there now. Call it once, before work begins.

    Reference counts free what a batch leaves behind. Looking through all that was imported again and again took a tenth
    of a worker's time, and looking through a batch that is still needed, every 700 values, another.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
