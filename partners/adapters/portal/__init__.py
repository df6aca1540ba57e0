"""A partner whose staff look into a list and answer on pages: what is asked is laid into that list.

The pages themselves are `partners.portal`; what they take goes the way of every file (`partners.intake`).
"""
