"""The plan: what a person writes, refused with every fault at once or expanded exactly.

schema.py      the keys of a plan file, and every kind's acceptance rules
fields.py      the values of those keys and what can be said of one alone
words.py       text: one normal form, templates, slugs
document.py    YAML with places, within limits     shorthand.py    what may be written shorter
faults.py      wrong values, in our words          salvage.py      what is left without them
background.py  a picture beside the plan       pictures.py    their digests, and their faults
brand.py       how everything must look       brands.py      a brand in a file of its own
beside.py      files beside a plan, no others
look.py        one asset as the checks see it      meaning.py      faults between its values
whole.py       faults between assets               read.py         file -> Plan, or every fault
inherit.py     an asset with its defaults          combinations.py the rows of its axes, counted
expand.py      Plan -> asset specs                 vocabulary.py   words a model was never taught
"""
