"""The plan: a YAML file that is either refused with every fault at once or expanded exactly.

schema.py               the keys of a plan file, and every kind's acceptance rules
fields.py               the values of those keys, each validated alone
templates.py            text: normal form, templates, slugs, unknown words
yaml_document.py        YAML with line numbers, within limits
shorthand.py            the short forms of values
json_schema.py          the JSON Schema of plan files
read.py                 file -> Plan, or every fault
faults.py               messages and remedies for invalid values
recover.py              the plan that is left without its invalid values
files.py                files beside a plan, no others
background.py           an image that text is set over
brand.py                how every image must look
brand_file.py           a brand in a file of its own
validate_asset.py       faults between the values of one asset
validate_backgrounds.py faults of backgrounds, and their digests
validate_plan.py        faults between assets
inherit.py              an asset with its defaults
expand.py               Plan -> asset specs; the rows of an asset's axes
"""
