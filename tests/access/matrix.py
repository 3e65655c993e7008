"""Who may do what at every address: the declaration that the resolver is held against.

    ROUTES      our own addresses, one entry each: per method who may, the good answer, and the good request
    GROUPS      addresses of packages (the admin site, allauth's pages, allauth's API), by where they begin

A method that is not declared answers 405 to whoever is signed in. An address that is not declared fails the build.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import URLPattern, URLResolver, get_resolver

import campaigns.changes.review as review
from tests.access.people import Who

Ids = Mapping[str, str]
Body = Callable[[Ids], Any]
METHODS = ("get", "post", "put", "patch", "delete")

# --- who: roles at Northwind (an owner's is everywhere)
OWNER = frozenset({"owner"})
LEAD = OWNER | {"manager"}
AGENCY_ASKS = LEAD | {"buyer", "integrator"}
APPROVES = LEAD | {"buyer", "approver"}
AGENCY = LEAD | {"buyer", "analyst"}
ALL = LEAD | {"buyer", "analyst", "approver", "viewer", "integrator"}

#: Open whatever still has to be set up, and while one views as a client: how long one's own session lasts.
ABOUT_THE_CALLER = frozenset({"api_session"})

#: Closed, for reading too, to somebody of the agency who views as a client.
NOT_ACTING = (
    "/accounts/",
    "/admin/",
    "/api/meta-oauth/",
    "/auth/meta/",
    "/connections/confirm/",
    "/connections/connect",
    "/invitations/",
    "/metrics",
    "/setup/",
)


#: A document of the rule language.
OWN_RULES = {
    "level": "adset",
    "cases": [
        {
            "name": "Dear",
            "when": {"metric": "cpc", "op": ">", "than": {"number": "1"}},
            "do": [{"action": "pause"}],
        }
    ],
}


@dataclass(frozen=True)
class Rule:
    """One method of one address. `may`: roles that get `good` with `body`; other roles of the same client get
    `refused`; people of another client get `foreign` (None: `good`, on their own rows; else 404, exactly as for
    an id of nobody). `writes`: tables that a read may write to. `also`: as good as `good`."""

    may: frozenset[str] = ALL
    good: int = 200
    body: Body | None = None
    foreign: int | None = 404
    refused: int = 403
    writes: frozenset[str] = frozenset()
    also: int = 0

    @property
    def fine(self) -> frozenset[int]:
        return frozenset({self.good, self.also} - {0})


@dataclass(frozen=True)
class Route:
    """`path` is a good address (a format string over the ids). `kind`: api (401 when signed out), page (sign-in;
    only a session counts), docs (a session counts, 403), open (`status` per method, for everybody)."""

    name: str
    path: str
    kind: str
    rules: Mapping[str, Rule] = field(default_factory=dict)
    status: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.name

    def address(self, ids: Ids) -> str:
        return self.path.format(**ids)

    def signed_in(self, who: Who) -> bool:
        if self.name in ABOUT_THE_CALLER and who.by == "no-factor":
            return True
        return who.seat != "out" and (self.kind == "api" or who.browses)

    def expected(self, method: str, who: Who) -> frozenset[int]:
        """The statuses that are right."""
        gated = self.name not in ABOUT_THE_CALLER
        if gated and who.by == "no-factor":
            return self._without_factor(method)
        if gated and who.by == "acting" and self._closed_to_acting(method):
            return frozenset({403})
        if self.kind == "open":  # a write without a session fails on its CSRF token, where that is asked for
            bare = method != "get" and (who.seat == "out" or not who.browses)
            return frozenset({self.status.get(method, 405), *({403} if bare else ())})
        if not self.signed_in(who):
            if (
                self.kind == "page"
            ):  # a write without a session fails on its CSRF token before it is sent to sign in
                return frozenset({302} if method == "get" else {302, 403})
            return frozenset({401} if self.kind == "api" else {403})
        rule = self.rules.get(method)
        if rule is None:
            return frozenset({405})
        if who.seat == "southwind":
            return rule.fine if rule.foreign is None else frozenset({rule.foreign})
        return rule.fine if who.role in rule.may else frozenset({rule.refused})

    def lets_in(self, who: Who) -> bool:
        """Whether this is the door that stands open to who has to set up a second factor."""
        return who.by == "no-factor" and self.path.startswith("/two-factor/")

    def _without_factor(self, method: str) -> frozenset[int]:
        """The role asks for a second factor and there is none: the page that sets one up, and nothing else."""
        if self.path.startswith("/two-factor/"):
            if method not in self.rules:
                return frozenset({405})
            return frozenset({200 if method == "get" else 302})
        if self.kind == "api":
            return frozenset({403})
        return frozenset({302, *((self.status.get(method, 405),) if self.kind == "open" else ())})

    def _closed_to_acting(self, method: str) -> bool:
        """Who views as a client writes nothing, and does not come to where the person's own things are."""
        return self.name != "acting_stop" and (method != "get" or self.path.startswith(NOT_ACTING))


def api(name: str, path: str, *, label: str = "", **rules: Rule) -> Route:
    return Route(name, path, "api", rules, label=label)


def page(name: str, path: str, foreign: int | None = 404) -> Route:
    return Route(name, path, "page", {"get": Rule(foreign=foreign)})


def public(name: str, path: str, why: str, **status: int) -> Route:
    return Route(name, path, "open", status=status, why=why)


def _says(**fields: Any) -> Body:
    """A JSON body; texts are format strings over the ids."""
    return lambda ids: {
        name: value.format(**ids) if isinstance(value, str) else value for name, value in fields.items()
    }


def _pauses(ids: Ids) -> str:
    """The form of a review sheet that pauses one campaign."""
    line = f"{ids['campaign']} status 0 PAUSED"
    return urlencode({"ticket": review.ticket(), "line": line, "reason": "sold out"})


def _rules(ids: Ids) -> str:
    """The plain form of rules."""
    return urlencode(
        {"account": ids["account"], "name": "By hand", "document": json.dumps(OWN_RULES), "do": "save"}
    )


READ = Rule()
OWN_LIST = Rule(foreign=None)
#: A page whose address names a client or an ad account: the person's own row remembers it.
CHOICE = Rule(writes=frozenset({"accounts_user"}))

ROUTES: tuple[Route, ...] = (
    # --- probes and doors
    public("livez", "/livez", "a probe of the process", get=200),
    public("readyz", "/readyz", "a probe for load balancers", get=200),
    public("metrics", "/metrics", "this machine's scraper; from elsewhere staff only (tests/config)", get=200),
    public("set_up", "/setup/", "only before there are people", get=302, post=302),
    public("meta_webhook", "/webhooks/meta/", "Meta's signature is the key", get=403, post=403),
    public("meta_deauthorize", "/webhooks/meta/deauthorize", "Meta's signature is the key", post=400),
    public("meta_data_deletion", "/webhooks/meta/data-deletion", "Meta's signature is the key", post=400),
    public("data_deletion_status", "/data-deletion/no-such-code/", "the code is the key", get=404),
    public("facebook_callback", "/auth/meta/callback", "state and session are the key",
           get=403, post=403, put=403, patch=403, delete=403),
    public("api_oauth_callback", "/api/meta-oauth/callback", "state and session are the key", get=403),
    Route("api_schema", "/api/schema/", "docs", {"get": Rule(foreign=None)}),
    Route("api_docs", "/api/docs/", "docs", {"get": Rule(foreign=None)}),
    # --- people
    public("invitation", "/invitations/no-such-secret/", "the secret is the key", get=404, post=404),
    api("api_people", "/api/people?client={client}", get=Rule(LEAD)),
    api("api_people", "/api/people", get=Rule(OWNER, foreign=403), label="api_people-owners"),
    api("api_person_role", "/api/people/{person}/role",
        post=Rule(LEAD, body=_says(client="{client}", role="viewer"))),
    api("api_remove_person", "/api/people/{person}/remove", post=Rule(LEAD, 204, _says(client="{client}"))),
    api("api_remove_person", "/api/people/{second_owner}/remove", label="api_remove_person-owner",
        post=Rule(OWNER, 204, _says(), foreign=403)),
    api("api_deactivate_person", "/api/people/{person}/deactivate", post=Rule(OWNER, 204, foreign=403)),
    api("api_reactivate_person", "/api/people/{person}/reactivate", post=Rule(OWNER, 204, foreign=403)),
    api("api_invitations", "/api/invitations?client={client}", get=Rule(LEAD),
        post=Rule(LEAD, 201, _says(email="new@example.com", client="{client}", role="buyer"))),
    api("api_invitations", "/api/invitations", label="api_invitations-owners", get=Rule(OWNER, foreign=403),
        post=Rule(OWNER, 201, _says(email="new@example.com", role="owner"), foreign=403)),
    api("api_resend_invitation", "/api/invitations/{invitation}/resend", post=Rule(LEAD)),
    api("api_withdraw_invitation", "/api/invitations/{invitation}/withdraw", post=Rule(LEAD, 204)),
    api("api_roles", "/api/roles", get=OWN_LIST),
    api("api_policies", "/api/policies", get=Rule(OWNER, foreign=403),
        post=Rule(OWNER, body=_says(role="viewer", two_factor_required=True), foreign=403)),
    api("api_clients", "/api/clients", get=OWN_LIST,
        post=Rule(OWNER, 201, _says(name="Westwind"), foreign=403)),
    api("api_rename_client", "/api/clients/{client}/rename", post=Rule(OWNER, body=_says(name="Norwind"))),
    api("api_archive_client", "/api/clients/{idle_client}/archive", post=Rule(OWNER, refused=404)),
    api("api_restore_client", "/api/clients/{archived_client}/restore", post=Rule(OWNER, foreign=403)),
    Route("acting_start", "/acting/start", "page",
          {"post": Rule(AGENCY, 302, lambda ids: f"client={ids['client']}")}),
    Route("acting_stop", "/acting/stop", "page", {"post": Rule(ALL, 302, lambda ids: "x=1", foreign=None)}),
    Route("two_factor_required", "/two-factor/", "page", {"get": Rule(ALL, 302, foreign=None)}),
    Route("two_factor_later", "/two-factor/later", "page",
          {"post": Rule(ALL, 302, lambda ids: "x=1", foreign=None)}),
    Route("api_session", "/api/session", "api",
          {"get": Rule(foreign=None), "post": Rule(foreign=None)}),
    # --- connecting
    Route("connect", "/connections/connect", "page",
          {"post": Rule(LEAD, 302, lambda ids: f"client={ids['client']}")}),
    Route("connect_link", "/connections/connect/{link}/", "page",
          {"get": Rule(OWNER, refused=404), "post": Rule(OWNER, 302, lambda ids: "x=1", refused=404)}),
    Route("connect_link", "/connections/connect/{guest_link}/", "open", status={"get": 200, "post": 302},
          why="whoever has the mail's link begins; the dance and its confirmation follow", label="connect_link-guest"),
    Route("paste_token", "/connections/token/?client={client}", "page",
          {"get": Rule(LEAD), "post": Rule(LEAD, 302, lambda ids: f"token={ids['token']}")}),
    Route("confirm_connection", "/connections/confirm/{grant}/", "page",
          # Naming the accounts asks Meta, and the call is counted.
          {"get": Rule(OWNER, refused=404, writes=frozenset({"metaads_quotascope"})),
           "post": Rule(OWNER, 302, lambda ids: "x=1", refused=404)}),
    api("api_validate_token", "/api/meta/validate-token?client={client}", get=READ),
    api("api_user_info", "/api/meta/user-info?client={client}", get=READ),
    api("api_ad_accounts", "/api/meta/ad-accounts?client={client}", get=READ),
    api("api_enable_ad_account", "/api/meta/ad-accounts/{account}/enable", post=Rule(LEAD)),
    api("api_disable_ad_account", "/api/meta/ad-accounts/{account}/disable", post=Rule(LEAD)),
    api("api_archive_ad_account", "/api/meta/ad-accounts/{account}/archive", post=Rule(LEAD)),
    api("api_restore_ad_account", "/api/meta/ad-accounts/{account}/restore", post=Rule(LEAD)),
    api("api_discover_ad_accounts", "/api/meta/ad-accounts/discover?client={client}", post=Rule(LEAD)),
    api("api_authorize_url", "/api/meta-oauth/authorize-url?client={client}",
        # A link that is used up once is kept before it is handed out; it starts nothing by itself.
        get=Rule(LEAD, writes=frozenset({"accounts_connectlink", "accounts_auditline"}))),
    api("api_refresh", "/api/meta-oauth/refresh", post=Rule(LEAD, body=_says(connection_id="{connection}"))),
    api("api_pause", "/api/meta-oauth/pause", post=Rule(LEAD, body=_says(connection_id="{connection}"))),
    api("api_resume", "/api/meta-oauth/resume", post=Rule(LEAD, body=_says(connection_id="{connection}"))),
    api("api_discover", "/api/meta-oauth/discover", post=Rule(LEAD, body=_says(connection_id="{connection}"))),
    api("api_invite_to_connect", "/api/meta-oauth/invite",
        post=Rule(LEAD, 201, _says(client="{client}", email="owner@example.com"))),
    api("api_withdraw_link", "/api/meta-oauth/withdraw", post=Rule(LEAD, body=_says(link_id="{guest_link_id}"))),
    # --- reading
    api("api_performance", "/api/meta/performance/{account}", get=READ),
    api("api_campaigns", "/api/meta/campaigns/{account}", get=READ),
    api("api_insights", "/api/meta/insights/{campaign}", get=READ),
    api("api_insights", "/api/meta/insights/{account}", get=READ, label="api_insights-of-account"),
    api("api_insights", "/api/meta/insights/{ad}", get=READ, label="api_insights-of-ad"),
    api("api_insights", "/api/meta/insights/{campaign}?breakdowns=age,gender", label="api_insights-parted",
        # Parts that nobody has read yet are asked for.
        get=Rule(good=202, also=200, writes=frozenset({"insights_fetchrun"}))),
    api("api_history", "/api/meta/history/{account}", post=Rule(AGENCY_ASKS, 202, _says(days=60))),
    api("api_polling", "/api/meta/polling/{account}", get=READ,
        post=Rule(LEAD, body=_says(looks="stop", poll_seconds=60))),
    api("api_realtime", "/api/meta/realtime/{account}", get=READ),
    api("api_ad_sets", "/api/meta/ad-sets/{campaign}", get=READ),
    api("api_ads", "/api/meta/ads/{adset}", get=READ),
    api("api_own_metrics", "/api/metrics/own?client={client}", get=READ,
        post=Rule(LEAD | {"buyer", "analyst"}, 201, _says(name="per_view", expression="spend / landing_page_views"))),
    api("api_own_metric", "/api/metrics/own/my.blended?client={client}",
        delete=Rule(LEAD | {"buyer", "analyst"}, 204)),
    api("api_known_at", "/api/meta/known-at/{account}?at=2026-11-18T15:00:00Z", get=READ),
    api("api_rhythm", "/api/meta/rhythm/{account}", get=READ),
    api("api_comparison", "/api/meta/comparison/{account}", get=READ),
    api("api_comparison", "/api/meta/comparison/{ad}?against=week", get=READ, label="api_comparison-of-ad"),
    api("api_benchmark", "/api/meta/benchmark/{account}", get=READ),
    api("api_ranking", "/api/meta/ranking/{account}", get=READ),
    api("api_completeness", "/api/meta/completeness/{account}", get=READ),
    api("api_metrics", "/api/metrics", get=OWN_LIST),
    # --- changes
    api("api_campaign_status", "/api/meta/campaigns/{campaign}/status",
        post=Rule(AGENCY_ASKS, 202, _says(status="PAUSED", reason="sold out"))),
    api("api_campaign_budget", "/api/meta/campaigns/{campaign}/budget",
        post=Rule(AGENCY_ASKS, 202, _says(daily_budget=80))),
    api("api_changes", "/api/changes", get=OWN_LIST),
    api("api_changes", "/api/changes?client={client}", get=READ, label="api_changes-of-client"),
    api("api_changes", "/api/changes?account={account}", get=READ, label="api_changes-of-account"),
    api("api_changes", "/api/changes?after={change}", get=READ, label="api_changes-after"),
    api("api_changes", "/api/changes?object={campaign}", get=OWN_LIST, label="api_changes-of-object"),
    api("api_change", "/api/changes/{change}", get=READ),
    api("api_change_approve", "/api/changes/{change}/approve", post=Rule(APPROVES, body=_says(digest="{digest}"))),
    api("api_change_reject", "/api/changes/{change}/reject", post=Rule(APPROVES, body=_says(reason="no"))),
    api("api_change_undo", "/api/changes/{applied}/undo", post=Rule(AGENCY_ASKS, 202)),
    api("api_change_resolve", "/api/changes/{stuck}/resolve",
        post=Rule(LEAD, body=_says(outcome="FAILED", reason="looked in Ads Manager"))),
    api("api_changes_batch", "/api/changes/batch",
        post=Rule(AGENCY_ASKS, 202, lambda ids: {"changes": [{"object_id": ids["campaign"], "status": "PAUSED"}],
                                                 "reason": "sold out"})),
    api("api_batch", "/api/batches/{batch}", get=READ),
    api("api_batch_approve", "/api/batches/{batch}/approve",
        post=Rule(APPROVES, body=_says(digest="{batch_digest}"))),
    api("api_batch_reject", "/api/batches/{batch}/reject",
        post=Rule(APPROVES, body=_says(digest="{batch_digest}", reason="no"))),
    api("api_batch_undo", "/api/batches/{done_batch}/undo", post=Rule(AGENCY_ASKS, 202)),
    api("api_approval_policy", "/api/approval-policy?client={client}", get=READ,
        post=Rule(LEAD, body=_says(four_eyes_percent=20, batch_objects=5, approval_hours=12))),
    api("api_authority", "/api/authority?client={client}",
        post=Rule(LEAD, body=_says(role="buyer", percent=20))),
    api("api_envelopes", "/api/envelopes?account={account}", get=READ,
        post=Rule(LEAD, body=_says(account_id="{account}", scope="account", period="month", amount=9000,
                                   reason="agreed with the client"))),
    api("api_ledger", "/api/ledger/{account}", get=READ),
    api("api_stop", "/api/stop", get=OWN_LIST,
        post=Rule(APPROVES, body=_says(scope="ad_account", account_id="{account}", reason="fire"))),
    api("api_stop", "/api/stop", label="api_stop-client", get=OWN_LIST,
        post=Rule(APPROVES, body=_says(scope="client", client="{client}", reason="fire"))),
    api("api_stop", "/api/stop", label="api_stop-strategy", get=OWN_LIST,
        post=Rule(APPROVES, body=_says(scope="strategy", client="{client}", strategy_id="{strategy}", reason="fire"))),
    api("api_stop", "/api/stop", label="api_stop-everything", get=OWN_LIST,
        post=Rule(OWNER, body=_says(scope="everything", reason="fire"), refused=400, foreign=400)),
    api("api_release", "/api/release",
        post=Rule(LEAD, body=_says(scope="ad_account", account_id="{account}", reason="out"))),
    api("api_release", "/api/release", label="api_release-client",
        post=Rule(LEAD, body=_says(scope="client", client="{client}", reason="out"))),
    api("api_release", "/api/release", label="api_release-everything",
        post=Rule(OWNER, body=_says(scope="everything", reason="out"), refused=400, foreign=400)),
    api("api_holds", "/api/holds", get=OWN_LIST),
    api("api_hold_resume", "/api/holds/{hold}/resume", post=Rule(APPROVES, body=_says(reason="seen"))),
    # --- strategies
    api("api_meta_strategies", "/api/meta/strategies/{account}", get=READ),
    api("api_meta_strategies", "/api/meta/strategies/{account}?refresh=1", get=Rule(AGENCY_ASKS),
        label="api_meta_strategies-refresh"),
    api("api_execute_strategy", "/api/meta/strategies/execute",
        post=Rule(AGENCY_ASKS, 202, _says(accountId="{account}", strategyId="{strategy}"))),
    api("api_execute_strategy", "/api/meta/strategies/execute", label="api_execute_strategy-dry",
        post=Rule(AGENCY_ASKS, 200, _says(accountId="{account}", strategyId="{strategy}", dryRun=True))),
    api("api_execute_strategy", "/api/meta/strategies/execute", label="api_execute_strategy-draft",
        post=Rule(AGENCY_ASKS, 202, _says(accountId="{account}", draftId="{draft}"))),
    api("api_strategies", "/api/strategies", get=OWN_LIST,
        post=Rule(AGENCY_ASKS, 201, _says(accountId="{account}", name="New", type="performance_optimization",
                                          rules={"minCtr": 1}, actions={"pauseLowPerforming": True}))),
    api("api_strategies", "/api/strategies?account={account}", get=READ, label="api_strategies-of-account",
        post=Rule(AGENCY_ASKS, 201, _says(accountId="{account}", name="New", type="performance_optimization",
                                          rules={"minCtr": 1}, actions={"pauseLowPerforming": True}))),
    api("api_strategies", "/api/strategies", label="api_strategies-own-rules", get=OWN_LIST,
        post=Rule(AGENCY_ASKS, 201, _says(accountId="{account}", name="Own", document=OWN_RULES))),
    api("api_strategy_stage", "/api/strategies/{strategy}/stage", get=READ,
        post=Rule(AGENCY_ASKS, body=_says(stage="shadow"))),
    api("api_export_strategy", "/api/strategies/{strategy}/export", get=READ),
    api("api_strategy_backtests", "/api/strategies/{strategy}/backtests", get=READ,
        post=Rule(AGENCY_ASKS, 202, _says(since="2026-11-10", hindsight=True))),
    api("api_backtest", "/api/backtests/{backtest}", get=READ),
    api("api_rules_schema", "/api/rules/schema", get=Rule(foreign=None)),
    api("api_check_rules", "/api/rules/check", post=Rule(body=_says(accountId="{account}", document=OWN_RULES))),
    api("api_rule_templates", "/api/rules/templates?account={account}", get=READ,
        post=Rule(body=_says(accountId="{account}", template="frequency_cap", parameters={}))),
    api("api_strategy", "/api/strategies/{strategy}", get=READ, patch=Rule(AGENCY_ASKS, body=_says(name="Renamed"))),
    api("api_proposals", "/api/proposals", get=OWN_LIST),
    api("api_proposals", "/api/proposals?account={account}", get=READ, label="api_proposals-of-account"),
    api("api_proposal", "/api/proposals/{proposal}", get=READ),
    api("api_approve_proposal", "/api/proposals/{proposal}/approve",
        post=Rule(APPROVES, 202, _says(digest="{proposal_digest}"))),
    api("api_reject_proposal", "/api/proposals/{proposal}/reject", post=Rule(APPROVES, body=_says(reason="no"))),
    api("api_decisions", "/api/decisions?account={account}", get=READ),
    api("api_decisions", "/api/decisions?account={account}&strategy={strategy}", get=READ,
        label="api_decisions-of-strategy"),
    # --- pages
    Route("home", "/", "page", {"get": Rule(foreign=None, also=302)}),  # to where the person was last
    page("clients", "/clients/", foreign=None),
    Route("client", "/c/{client}/", "page", {"get": CHOICE}),
    Route("account", "/a/{account}/", "page", {"get": CHOICE}),
    Route("patterns", "/a/{account}/patterns/", "page", {"get": CHOICE}),
    Route("standing", "/a/{account}/standing/", "page", {"get": CHOICE}),
    Route("limits", "/a/{account}/limits/", "page", {"get": CHOICE}),
    Route("review", "/a/{account}/review/?id={campaign}&do=pause", "page",
          {"get": Rule(AGENCY_ASKS, writes=CHOICE.writes)}),
    page("batch", "/batches/{batch}/"),
    Route("file_batch", "/batches/file", "page", {"post": Rule(AGENCY_ASKS, 303, _pauses)}),
    Route("approve_batch", "/batches/{batch}/approve", "page",
          {"post": Rule(APPROVES, 303, lambda ids: f"digest={ids['batch_digest']}")}),
    Route("reject_batch", "/batches/{batch}/reject", "page",
          {"post": Rule(APPROVES, 303, lambda ids: f"digest={ids['batch_digest']}&reason=no")}),
    Route("undo_batch", "/batches/{done_batch}/undo", "page", {"post": Rule(AGENCY_ASKS, 303, lambda ids: "x=1")}),
    Route("campaign", "/a/{account}/campaigns/{campaign}/", "page", {"get": CHOICE}),
    page("proposals", "/proposals/", foreign=None),
    page("proposal", "/proposals/{proposal}/"),
    page("change", "/changes/{change}/"),
    page("ledger", "/ledger/", foreign=None),
    page("strategies", "/strategies/", foreign=None),
    page("strategy", "/strategies/{strategy}/"),
    Route("new_strategy", "/strategies/new/?account={account}", "page",
          {"get": Rule(AGENCY_ASKS, writes=CHOICE.writes)}),
    Route("edit_strategy", "/strategies/{strategy}/edit/", "page", {"get": Rule(AGENCY_ASKS)}),
    Route("preview_strategy", "/strategies/preview", "page", {"post": Rule(body=_rules)}),
    Route("save_rules", "/strategies/save", "page", {"post": Rule(AGENCY_ASKS, 303, _rules)}),
    page("decision", "/decisions/{decision}/"),
    page("alerts", "/alerts/", foreign=None),
    page("connections", "/connections/", foreign=None),
    Route("doctor", "/connections/doctor/?client={client}", "page",
          {"get": Rule(AGENCY_ASKS, writes=CHOICE.writes)}),
    page("people", "/people/", foreign=None),
    Route("people", "/people/?client={client}", "page", {"get": CHOICE}, label="people-of-client"),
    # Last: what the sandbox heard is not taken back with the rows.
    api("api_disconnect", "/api/meta-oauth/disconnect",
        post=Rule(LEAD, body=_says(connection_id="{connection}"))),
)  # fmt: skip

#: Where a package's addresses begin -> the test that goes through all of them.
GROUPS = {
    "admin/": "test_admin.py: every registered model by every principal",
    "accounts/": "test_own_account.py: allauth's pages, every address x method x principal",
    "_allauth/": "test_own_account.py: allauth's API likewise",
}


def patterns(resolver: Any = None, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(route, pattern) of every address of the installation, packages included."""
    for one in (resolver or get_resolver()).url_patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, path)
        elif isinstance(one, URLPattern):
            yield path, one


def group_of(path: str) -> str | None:
    return next((group for group in GROUPS if path.startswith(group)), None)
