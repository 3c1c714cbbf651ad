"""Our models beside other people's code, on the same weights."""
