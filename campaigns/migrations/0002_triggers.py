"""Triggers that keep what a change is for, and what happened, as they were written.

On a change: object, field, before, target, currency, key, digest and tenant never change. On attempts: all but the
answer never changes, and the answer is written once. Observations and ledger lines never change. Rows of these tables
go only together with a permit: a row in `campaigns_permit`, written by an erasure in its own transaction. That table
belongs to no model. On SQLite a later migration that rebuilds one of these tables drops its triggers: it has to
call `forwards` again at its end (`tests/campaigns/test_triggers.py` notices).
"""

from django.db import migrations

FROZEN = {
    "campaigns_change": (
        "uuid",
        "client_id",
        "ad_account_id",
        "level",
        "object_id",
        "field",
        "before",
        "target",
        "currency",
        "rise",
        "key",
        "digest",
        "source",
        "strategy_ref",
        "created_at",
        "undo_of_id",
    ),
    "campaigns_attempt": (
        "client_id",
        "change_id",
        "n",
        "object_id",
        "field",
        "value",
        "fence",
        "build_id",
        "committed_at",
    ),
}
SEALED = ("campaigns_observation", "campaigns_ledgerline")
KEPT = (*FROZEN, *SEALED)


def _names():
    for table in FROZEN:
        yield table, f"{table}_frozen"
    for table in SEALED:
        yield table, f"{table}_sealed"
    for table in KEPT:
        yield table, f"{table}_kept"
    yield "campaigns_attempt", "campaigns_attempt_answered_once"


def _sqlite():
    yield "CREATE TABLE IF NOT EXISTS campaigns_permit (reason text NOT NULL)"
    for table, columns in FROZEN.items():
        moved = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in columns)
        yield _sqlite_trigger(table, "frozen", "UPDATE", moved)
    for table in SEALED:
        yield _sqlite_trigger(table, "sealed", "UPDATE", "1")
    for table in KEPT:
        yield _sqlite_trigger(table, "kept", "DELETE", "NOT EXISTS (SELECT 1 FROM campaigns_permit)")
    yield _sqlite_trigger("campaigns_attempt", "answered_once", "UPDATE", "OLD.outcome <> ''")


def _sqlite_trigger(table, what, verb, when):
    return (
        f"CREATE TRIGGER {table}_{what} BEFORE {verb} ON {table} FOR EACH ROW WHEN {when} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is {what}'); END"
    )


def _postgres():
    yield "CREATE TABLE IF NOT EXISTS campaigns_permit (reason text NOT NULL)"
    yield (
        "CREATE OR REPLACE FUNCTION campaigns_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    yield (
        "CREATE OR REPLACE FUNCTION campaigns_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM campaigns_permit) THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION '% is kept', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table, columns in FROZEN.items():
        moved = " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in columns)
        yield _postgres_trigger(table, "frozen", moved)
    for table in SEALED:
        yield _postgres_trigger(table, "sealed", "true")
    for table in KEPT:
        yield (
            f"CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION campaigns_refuse_delete()"
        )
    yield _postgres_trigger("campaigns_attempt", "answered_once", "OLD.outcome <> ''")


def _postgres_trigger(table, what, when):
    return (
        f"CREATE TRIGGER {table}_{what} BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({when}) "
        f"EXECUTE FUNCTION campaigns_refuse('{what}')"
    )


def forwards(apps, schema_editor):
    statements = _postgres() if schema_editor.connection.vendor == "postgresql" else _sqlite()
    for statement in statements:
        schema_editor.execute(statement, params=None)


def backwards(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    for table, name in _names():
        schema_editor.execute(
            f"DROP TRIGGER IF EXISTS {name} ON {table}" if postgres else f"DROP TRIGGER IF EXISTS {name}"
        )
    if postgres:
        schema_editor.execute("DROP FUNCTION IF EXISTS campaigns_refuse()")
        schema_editor.execute("DROP FUNCTION IF EXISTS campaigns_refuse_delete()")
    schema_editor.execute("DROP TABLE IF EXISTS campaigns_permit")


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
