"""`manage.py bench`: what the engine does, measured against what somebody would write by hand for the same.

Each module measures one figure. Engine and reference do the same work on the same tables in turn, A B A B, and the
medians are compared, so that a machine that is slow for a while is slow for both. What a referee writes is counted
afterwards like what the engine writes: a figure of work that was not done is an error, not a figure.
"""
