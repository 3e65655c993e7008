from django.urls import path

from metaads.views import webhook

urlpatterns = [path("webhooks/meta/", webhook, name="meta_webhook")]
