"""`atelier policy ...`: learn, try, promote and roll back the policy that chooses models.

`atelier explain` shows why one asset was made by its models.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.input import open_catalog, option_groups, read_settings
from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest
from app.types import Kind, Size

if TYPE_CHECKING:
    from app.plan.schema import PlanAsset, RoutePlan

policy = typer.Typer(
    help="Learn and choose the policy for assets with model: auto.", no_args_is_help=True
)

PolicyArgument = Annotated[
    str, typer.Argument(help="Its digest, or the first characters.", metavar="POLICY")
]


@policy.command(epilog="Example: atelier policy learn")
def learn(as_json: AsJson = False) -> None:
    """Learn a policy from the catalog's decided assets. It is not used until it is promoted."""
    from app.cli.render.routes import KeptPolicy, show_policy
    from app.route.policy import keep_policy, learn_policy
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = open_catalog()
        records = latest_verdicts(catalog)
        if not records:
            raise InvalidRequest("the catalog has no decided asset to learn from; run a plan first")
        learned = learn_policy(records)
        print_result(
            KeptPolicy(digest=keep_policy(catalog, learned), policy=learned), as_json, show_policy
        )


@policy.command(name="list", epilog="Example: atelier policy list")
def list_policies(as_json: AsJson = False) -> None:
    """List the policies, those in use, and every change of the policies in use."""
    from app.cli.render.routes import PolicyList, show_policies
    from app.route.policy import POLICY, history, rollout
    from app.store.documents import newest

    with exit_codes(as_json):
        catalog = open_catalog()
        listing = PolicyList(
            rollout=rollout(catalog),
            kept=newest(catalog, POLICY),
            changes=tuple(history(catalog)),
        )
        print_result(listing, as_json, show_policies)


@policy.command(epilog="Example: atelier policy show 3f2a")
def show(reference: PolicyArgument, as_json: AsJson = False) -> None:
    """Show a policy's figures for each model: success, time per image, and prediction quality."""
    from app.cli.render.routes import KeptPolicy, show_policy
    from app.route.policy import POLICY, Policy
    from app.store.documents import digest_of, get

    with exit_codes(as_json):
        catalog = open_catalog()
        digest = digest_of(catalog, POLICY, reference)
        kept_policy = KeptPolicy(digest=digest, policy=get(catalog, digest, Policy))
        print_result(kept_policy, as_json, show_policy)


@policy.command(name="try", epilog="Example: atelier policy try 3f2a --share 0.1")
def try_policy(
    reference: PolicyArgument,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the assets it decides; 0: only recorded.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Start a trial of a policy beside the live policy."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import start_trial

    with exit_codes(as_json):
        catalog = open_catalog()
        print_result(start_trial(catalog, reference, share=share), as_json, show_rollout)


@policy.command(epilog="Example: atelier policy compare")
def compare(as_json: AsJson = False) -> None:
    """Compare each policy's results, and count the assets that the trial would decide otherwise."""
    from app.cli.render.routes import show_arms
    from app.route.explain import policy_arms
    from app.store.run_statistics import latest_verdicts

    with exit_codes(as_json):
        catalog = open_catalog()
        print_results(policy_arms(catalog, latest_verdicts(catalog)), as_json, show_arms)


@policy.command(epilog="Example: atelier policy promote 3f2a")
def promote(reference: PolicyArgument, as_json: AsJson = False) -> None:
    """Make a policy live: it decides for all assets, from the next run on."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import promote_policy

    with exit_codes(as_json):
        catalog = open_catalog()
        print_result(promote_policy(catalog, reference), as_json, show_rollout)


@policy.command(epilog="Example: atelier policy back")
def back(as_json: AsJson = False) -> None:
    """Undo the last change of the policies in use."""
    from app.cli.render.routes import show_rollout
    from app.route.policy import roll_back

    with exit_codes(as_json):
        print_result(roll_back(open_catalog()), as_json, show_rollout)


@dataclass(frozen=True)
class RequestOptions:
    """The options of `atelier explain --request`."""

    models: Annotated[
        str, typer.Option(help="With --request: the models to choose from, light to heavy.")
    ] = ""
    kind: Annotated[Kind, typer.Option(help="With --request: the asset's kind.")] = Kind.ICON
    label: Annotated[
        list[str] | None, typer.Option(help="With --request: the asset's labels; repeat.")
    ] = None
    confidence: Annotated[
        float, typer.Option(min=0.01, max=0.999, help="With --request: least chance to pass.")
    ] = 0.9
    seconds: Annotated[
        float | None, typer.Option(min=0.001, help="With --request: longest time in seconds.")
    ] = None
    local: Annotated[bool, typer.Option("--local", help="With --request: use no hosted model.")] = (
        False
    )

    def terms(self) -> "RoutePlan":
        """Returns the route of the request. Raises InvalidRequest for no model or too many."""
        from app.plan.schema import MAX_MODELS, RoutePlan

        named = tuple(name.strip() for name in self.models.split(",") if name.strip())
        if not 1 <= len(named) <= MAX_MODELS:
            raise InvalidRequest(
                f"--models names {len(named)} models; --request needs 1 to {MAX_MODELS} of them, "
                "light to heavy: --models starter,polish"
            )
        return RoutePlan(models=named, confidence=self.confidence, seconds=self.seconds)

    def asset(self, prompt: str) -> "PlanAsset":
        """Returns the request as an asset of a plan."""
        from app.plan.schema import AUTO, AssetTags, PlanAsset

        return PlanAsset(
            name="request",
            model=AUTO,
            kind=self.kind,
            prompt=prompt,
            sizes=(Size(width=64, height=64),),
            tags=AssetTags(
                labels=tuple(self.label or ()), residency="local" if self.local else None
            ),
        )


@option_groups
def explain(
    reference: Annotated[
        str, typer.Argument(help="A decided asset: NAME or NAME@VERSION.", metavar="ASSET")
    ] = "",
    request: Annotated[
        str, typer.Option(help="A prompt, in place of ASSET: as if a plan requested it now.")
    ] = "",
    options: RequestOptions = RequestOptions(),
    as_json: AsJson = False,
) -> None:
    """Show why an asset was, or would be, made by its models, and compare all the cascades."""
    from app.assets.select import find_asset
    from app.cli.render.routes import show_explanation
    from app.fleet.prices import price_sheet
    from app.registry.references import available_models
    from app.route.explain import explain_asset, explain_request

    with exit_codes(as_json):
        if bool(reference) == bool(request):
            raise InvalidRequest("give either an asset, or --request with a prompt")
        settings, catalog = read_settings(), open_catalog()
        if reference:
            explanation = explain_asset(catalog, find_asset(catalog, reference))
        else:
            explanation = explain_request(
                catalog, available_models(settings), price_sheet(settings),
                options.terms(), options.asset(request),
            )  # fmt: skip
        print_result(explanation, as_json, show_explanation)
