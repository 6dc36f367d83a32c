"""`make bench`: the engine and its peers over the same input, on the same core, in turn.

results/ has the last figures.
"""
