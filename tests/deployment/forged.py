"""Datagrams of the dispatch protocol, caught on the wire and sent again: as they were, damaged, and cut short."""
