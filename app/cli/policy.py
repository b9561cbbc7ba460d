"""`atelier policy ...`: learn how models are chosen, try it, promote it, roll it back.

`atelier explain` shows why one asset was made by its models.
"""

from typing import Annotated

import typer

from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest
from app.settings import Settings
from app.types import Kind

policy = typer.Typer(
    help="How models are chosen where a plan says model: auto.", no_args_is_help=True
)

PolicyArgument = Annotated[
    str, typer.Argument(help="A policy by its digest, or the beginning of it.", metavar="POLICY")
]


@policy.command(epilog="Example: atelier policy learn")
def learn(as_json: AsJson = False) -> None:
    """Learn a policy from the catalog's decided assets. It decides nothing until promoted."""
    from app.cli.render.routes import KeptPolicy, show_policy
    from app.route.policy import keep_policy, learn_policy
    from app.store.catalog import Catalog
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        records = latest_verdicts(catalog)
        if not records:
            raise InvalidRequest("no asset was decided yet, there is nothing to learn; run a plan")
        learned = learn_policy(records)
        print_result(
            KeptPolicy(digest=keep_policy(catalog, learned), policy=learned), as_json, show_policy
        )


@policy.command(name="list", epilog="Example: atelier policy list")
def list_policies(as_json: AsJson = False) -> None:
    """List the policies, which of them decide, and every change of that."""
    from app.cli.render.routes import PolicyList, show_policies
    from app.route.policy import POLICY, history, rollout
    from app.store.catalog import Catalog
    from app.store.documents import newest

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        listing = PolicyList(
            rollout=rollout(catalog),
            kept=newest(catalog, POLICY),
            changes=tuple(history(catalog)),
        )
        print_result(listing, as_json, show_policies)


@policy.command(epilog="Example: atelier policy show 3f2a")
def show(reference: PolicyArgument, as_json: AsJson = False) -> None:
    """Show what a policy knows of each model: success, time per image, and how well it predicts."""
    from app.cli.render.routes import KeptPolicy, show_policy
    from app.route.policy import POLICY, Policy
    from app.store.catalog import Catalog
    from app.store.documents import digest_of, get

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        digest = digest_of(catalog, POLICY, reference)
        kept_policy = KeptPolicy(digest=digest, policy=get(catalog, digest, Policy))
        print_result(kept_policy, as_json, show_policy)


@policy.command(name="try", epilog="Example: atelier policy try 3f2a --share 0.1")
def try_policy(
    reference: PolicyArgument,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="For this part of the assets; 0: only noted.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Put a policy on trial beside the one that is live."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import start_trial
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        print_result(start_trial(catalog, reference, share=share), as_json, show_rollout)


@policy.command(epilog="Example: atelier policy compare")
def compare(as_json: AsJson = False) -> None:
    """Compare the results of each policy's assets, and for how many the trial would differ."""
    from app.cli.render.routes import show_arms
    from app.route.explain import policy_arms
    from app.store.catalog import Catalog
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        print_results(policy_arms(catalog, latest_verdicts(catalog)), as_json, show_arms)


@policy.command(epilog="Example: atelier policy promote 3f2a")
def promote(reference: PolicyArgument, as_json: AsJson = False) -> None:
    """Make a policy decide from the next run on."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import promote_policy
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        catalog = Catalog.open(Settings().catalog)
        print_result(promote_policy(catalog, reference), as_json, show_rollout)


@policy.command(epilog="Example: atelier policy back")
def back(as_json: AsJson = False) -> None:
    """Undo the last change of which policies decide."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import roll_back as step_back
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        print_result(step_back(Catalog.open(Settings().catalog)), as_json, show_rollout)


def explain(
    reference: Annotated[
        str, typer.Argument(help="NAME or NAME@VERSION of a made asset.", metavar="ASSET")
    ] = "",
    request: Annotated[
        str, typer.Option(help="Instead: this prompt, as if a plan asked for it now.")
    ] = "",
    models: Annotated[
        str, typer.Option(help="With --request: the models to choose from, light to heavy.")
    ] = "",
    kind: Annotated[Kind, typer.Option(help="With --request: the asset's kind.")] = Kind.ICON,
    label: Annotated[list[str] | None, typer.Option(help="With --request: its labels.")] = None,
    confidence: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="With --request: how likely it must pass.")
    ] = 0.9,
    seconds: Annotated[
        float | None, typer.Option(min=0.001, help="With --request: how long it may take.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="With --request: it may not leave this place.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Explain why an asset was, or would be, made by its models: every cascade compared."""
    from app.cli.render.routes import show_explanation
    from app.fleet.prices import price_sheet
    from app.plan.schema import MAX_MODELS, AssetTags, RoutePlan
    from app.registry.references import available_models
    from app.route.explain import explain_asset, explain_request
    from app.store.catalog import Catalog

    with exit_codes(as_json):
        if bool(reference) == bool(request):
            raise InvalidRequest("name an asset, or give --request with a prompt; one of the two")
        settings = Settings()
        catalog = Catalog.open(settings.catalog)
        if reference:
            name, _, version = reference.partition("@")
            explanation = explain_asset(catalog, catalog.asset(name, version or None))
        else:
            named = tuple(name.strip() for name in models.split(",") if name.strip())
            if not 1 <= len(named) <= MAX_MODELS:
                raise InvalidRequest(
                    f"--models names {len(named)} models; --request needs 1 to {MAX_MODELS} of "
                    "them to choose from, light to heavy: --models starter,polish"
                )
            explanation = explain_request(
                catalog, available_models(settings), price_sheet(settings),
                RoutePlan(models=named, confidence=confidence, seconds=seconds),
                prompt=request, kind=kind,
                tags=AssetTags(
                    labels=tuple(label or ()), residency="local" if local else None
                ),
            )  # fmt: skip
        print_result(explanation, as_json, show_explanation)
