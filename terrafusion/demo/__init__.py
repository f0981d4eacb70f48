"""`terrafusion demo`: a synthetic county, replicated and changed before your eyes. Start reading at `flow.run`."""
