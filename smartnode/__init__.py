"""Smartnode: the volunteer daemon of Data for Canada."""
