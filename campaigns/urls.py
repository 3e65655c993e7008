"""The API paths of this floor, and the plain forms of a review sheet."""

from __future__ import annotations

from django.urls import URLPattern, path

from campaigns.api.authority import ApprovalPolicyView, AuthorityView
from campaigns.api.batches import ApproveBatch, FileBatch, OneBatch, RejectBatch, UndoBatch
from campaigns.api.changes import Approve, Changes, ChangeView, Reject, Resolve, Undo
from campaigns.api.envelopes import Envelopes
from campaigns.api.ledger import LedgerExport
from campaigns.api.stops import Holds, Release, Resume, Stop
from campaigns.api.writes import CampaignBudget, CampaignStatus
from campaigns.views import approve_batch, file_batch, reject_batch, undo_batch

urlpatterns: list[URLPattern] = [
    path("api/meta/campaigns/<str:campaign_id>/status", CampaignStatus.as_view(), name="api_campaign_status"),
    path("api/meta/campaigns/<str:campaign_id>/budget", CampaignBudget.as_view(), name="api_campaign_budget"),
    path("api/changes", Changes.as_view(), name="api_changes"),
    path("api/changes/batch", FileBatch.as_view(), name="api_changes_batch"),
    path("api/batches/<uuid:uuid>", OneBatch.as_view(), name="api_batch"),
    path("api/batches/<uuid:uuid>/approve", ApproveBatch.as_view(), name="api_batch_approve"),
    path("api/batches/<uuid:uuid>/reject", RejectBatch.as_view(), name="api_batch_reject"),
    path("api/batches/<uuid:uuid>/undo", UndoBatch.as_view(), name="api_batch_undo"),
    path("api/changes/<uuid:uuid>", ChangeView.as_view(), name="api_change"),
    path("api/changes/<uuid:uuid>/approve", Approve.as_view(), name="api_change_approve"),
    path("api/changes/<uuid:uuid>/reject", Reject.as_view(), name="api_change_reject"),
    path("api/changes/<uuid:uuid>/undo", Undo.as_view(), name="api_change_undo"),
    path("api/changes/<uuid:uuid>/resolve", Resolve.as_view(), name="api_change_resolve"),
    path("api/approval-policy", ApprovalPolicyView.as_view(), name="api_approval_policy"),
    path("api/authority", AuthorityView.as_view(), name="api_authority"),
    path("api/envelopes", Envelopes.as_view(), name="api_envelopes"),
    path("batches/file", file_batch, name="file_batch"),
    path("batches/<uuid:uuid>/approve", approve_batch, name="approve_batch"),
    path("batches/<uuid:uuid>/reject", reject_batch, name="reject_batch"),
    path("batches/<uuid:uuid>/undo", undo_batch, name="undo_batch"),
    path("api/ledger/<str:account_id>", LedgerExport.as_view(), name="api_ledger"),
    path("api/stop", Stop.as_view(), name="api_stop"),
    path("api/release", Release.as_view(), name="api_release"),
    path("api/holds", Holds.as_view(), name="api_holds"),
    path("api/holds/<uuid:uuid>/resume", Resume.as_view(), name="api_hold_resume"),
]
