"""The portal for partners' staff: pages that a phone on a bad line can use, with or without JavaScript.

It decides nothing: what staff say goes through `partners.intake`, photos and outlines through `partners.evidence`.
"""
