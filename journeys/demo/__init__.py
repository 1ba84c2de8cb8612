"""The demo: a subscription business, thirty days of it, made by the real engine on a simulated clock.

It never sends: its people are test contacts, whose messages are captured whatever is configured.
"""
