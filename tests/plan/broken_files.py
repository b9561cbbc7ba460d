"""Broken plans that are whole files; `broken.py` has those of one asset."""

from tests.plan.broken import Broken

A_GEM = "- {name: gem, kind: icon, prompt: a gem, sizes: 64}\n"
PLANS: dict[str, Broken] = {
    "empty file": Broken("#!", "plan", "no keys", "begin with"),
    "only a word": Broken("potion #!", "plan", "no keys", "begin with"),
    "no assets": Broken("atelier: 1 #!\nname: test", "assets", "missing", "at least one asset"),
    "empty list of assets": Broken(
        "atelier: 1\nname: test\nassets: [] #!",
        "assets",
        "is empty",
        "at least one",
    ),
    "no version": Broken(f"name: test #!\nassets:\n{A_GEM}", "atelier", "missing", "atelier: 1"),
    "another version": Broken(
        f"atelier: 2 #!\nname: test\nassets:\n{A_GEM}",
        "atelier",
        "version",
        "write atelier: 1",
    ),
    "misspelt section": Broken(
        f"atelier: 1\nname: test\npakc: {{padding: 3}} #!\nassets:\n{A_GEM}",
        "pakc",
        "not a known key",
        "did you mean pack?",
    ),
    "defaults at the top": Broken(
        f"atelier: 1\nname: test\nsizes: [64] #!\nassets:\n{A_GEM}",
        "sizes",
        "not a known key",
        "move sizes to the defaults or an asset",
    ),
    "reversed bounds": Broken(
        f"atelier: 1\nname: test\nbounds:\n  width: [9, 3] #!\nassets:\n{A_GEM}",
        "bounds.width",
        "cannot be satisfied by any number",
        "not larger",
    ),
    "default out of bounds": Broken(
        "atelier: 1\nname: test\nbounds: {attempts: {at_most: 4}}\ndefaults:\n  attempts: 5 #!\n"
        f"assets:\n{A_GEM}{A_GEM.replace('gem', 'coin')}",
        "defaults.attempts",
        "outside the plan's bounds",
        "at most 4",
    ),
    "more than the declared maximum": Broken(
        "atelier: 1\nname: test\nmax_assets: 5 #!\nassets:\n"
        "- {name: a, kind: icon, sizes: 64, prompt: '{c} {d}', axes: {c: [1, 2, 3], d: [1, 2]}}",
        "max_assets",
        "less than the 6 assets",
        "max_assets: 6",
    ),
    "more than the maximum when none is declared": Broken(
        "atelier: 1\nname: test\nassets: #!\n- {name: a, kind: icon, sizes: 64, prompt: '{c}', "
        f"axes: {{c: {list(range(1001))}}}}}",
        "max_assets",
        "less than the 1001 assets",
        "max_assets: 1001",
    ),
    "product beyond the limit": Broken(
        "atelier: 1\nname: test\nassets:\n- name: a\n  kind: icon\n  sizes: 64\n"
        f"  prompt: '{{c}} {{d}}'\n  axes: {{c: &long {list(range(101))}, d: *long}} #!",
        "assets[0].axes",
        "10201 combinations",
        "--allow-large",
    ),
    "duplicate name": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}"
        "- name: gem #!\n  kind: icon\n  prompt: another gem\n  sizes: 64",
        "assets[1].name",
        "duplicate name: gem is something else on line 4",
        "another name",
    ),
    "duplicate name among combinations": Broken(
        "atelier: 1\nname: test\ndefaults: {kind: icon, sizes: 64, prompt: 'a {c} gem'}\nassets:\n"
        "- {name: gem, axes: {c: [red, blue]}}\n"
        "- {name: gem, axes: {c: [green]}}\n"
        "- {name: gem, axes: {c: [black, blue]}, usage: shop} #!",
        "assets[2].name",
        "gem.blue is something else on line 5",
        "another name",
    ),
    "budget without a sum": Broken(
        f"atelier: 1\nname: test\nbudget: {{}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "missing",
        "such as 5.00",
    ),
    "budget below nothing": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: -1}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "too small",
        "at least 0",
    ),
    "budget as text": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: $5}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "must be a number",
        "write digits",
    ),
    "bare budget": Broken(
        f"atelier: 1\nname: test\nbudget: 5 #!\nassets:\n{A_GEM}",
        "budget",
        "must be keys with values",
        "usd",
    ),
    "drafts without a model": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: draft #!\nassets:\n{A_GEM}",
        "budget.at_cap",
        "needs a draft model",
        "add draft_model",
    ),
    "draft model that is never asked": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  draft_model: echo #!\nassets:\n{A_GEM}",
        "budget.draft_model",
        "never used",
        "at_cap: draft",
    ),
    "more for drafts than there is": Broken(
        "atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: draft\n  draft_model: echo\n"
        f"  draft_usd: 6 #!\nassets:\n{A_GEM}",
        "budget.draft_usd",
        "more for drafts",
        "at most 5",
    ),
    "end of the budget misspelt": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: stpo #!\nassets:\n{A_GEM}",
        "budget.at_cap",
        "not known",
        "did you mean stop?",
    ),
    "unknown key of a budget": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: 5, eur: 5}} #!\nassets:\n{A_GEM}",
        "budget.eur",
        "not a known key",
        "usd",
    ),
    "open model without a choice": Broken(
        f"atelier: 1\nname: test\nmodel: auto #!\nassets:\n{A_GEM}",
        "model",
        "no models are named to choose from",
        "route: {models: [starter]}",
    ),
    "choice that is never asked": Broken(
        f"atelier: 1\nname: test\nroute: {{models: [starter]}} #!\nassets:\n{A_GEM}",
        "route",
        "never used",
        "write model: auto",
    ),
    "model named twice to choose from": Broken(
        "atelier: 1\nname: test\nmodel: auto\nroute:\n  models: [starter, starter] #!\n"
        f"assets:\n{A_GEM}",
        "route.models[1]",
        "named twice",
        "each model once",
    ),
    "open model to choose from": Broken(
        f"atelier: 1\nname: test\nmodel: auto\nroute:\n  models: [auto] #!\nassets:\n{A_GEM}",
        "route.models[0]",
        "is not a model",
        "each model once",
    ),
    "confidence that nothing reaches": Broken(
        "atelier: 1\nname: test\nmodel: auto\n"
        f"route: {{models: [starter], confidence: 1}} #!\nassets:\n{A_GEM}",
        "route.confidence",
        "too large",
        "at most 0.999",
    ),
    "unknown key of a route": Broken(
        "atelier: 1\nname: test\nmodel: auto\n"
        f"route: {{models: [starter], confidance: 0.9}} #!\nassets:\n{A_GEM}",
        "route.confidance",
        "not a known key",
        "confidence",
    ),
    "rate of false accepts that is missing": Broken(
        f"atelier: 1\nname: test\naccept: {{confidence: 0.9}} #!\nassets:\n{A_GEM}",
        "accept.false_accepts",
        "missing",
        "add false_accepts:",
    ),
    "confidence that no calibration reaches": Broken(
        f"atelier: 1\nname: test\naccept: {{false_accepts: 0.01, confidence: 1}} #!\n"
        f"assets:\n{A_GEM}",
        "accept.confidence",
        "too large",
        "at most 0.999",
    ),
    "unknown key of acceptance": Broken(
        f"atelier: 1\nname: test\naccept: {{false_accept: 0.01}} #!\nassets:\n{A_GEM}",
        "accept.false_accept",
        "not a known key",
        "false_accepts",
    ),
    "rule on what is learned": Broken(
        "atelier: 1\nname: test\ndefaults:\n  rules: [{check: risk, at_most: 0.1}] #!\n"
        f"assets:\n{A_GEM}",
        "defaults.rules[0]",
        "learned, not measured",
        "accept: {false_accepts: 0.01}",
    ),
    "packed size that is never made": Broken(
        f"atelier: 1\nname: test\npack:\n  sizes: [64, 32] #!\nassets:\n{A_GEM}",
        "pack.sizes[1]",
        "not a size of any asset",
        "use one of 64x64",
    ),
    "bad indentation": Broken(
        "atelier: 1\nname: test\nassets:\n  - name: gem\n   kind: icon #!",
        "plan",
        "not YAML",
        "indentation",
    ),
    "tabs": Broken("atelier: 1\nassets:\n\t- name: gem #!", "plan", "not YAML", "spaces only"),
    "unquoted brace": Broken(
        "atelier: 1\nassets:\n- prompt: {colour} gem #!",
        "plan",
        "not YAML",
        "quote text",
    ),
    "two documents": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}--- #!\nname: more",
        "plan",
        "not YAML",
        "",
    ),
    "python object": Broken(
        "atelier: 1\nname: !!python/object/apply:os.system [id] #!",
        "plan",
        "tag",
        "remove the tag",
    ),
    "unknown alias": Broken("atelier: 1\nname: *other #!", "plan", "undefined alias", ""),
    "impossible escape": Broken('atelier: 1\nname: "\\UFFFFFFFF" #!', "plan", "escape", "remove"),
    "list as key": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}? [a, b] #!\n: c",
        "?",
        "not plain text",
        "a word",
    ),
    "too deep": Broken(
        "atelier: 1\nname: " + "[" * 40 + " #!", "plan", "nested deeper", "fewer levels"
    ),
}
