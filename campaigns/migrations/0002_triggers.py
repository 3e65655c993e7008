"""Triggers that keep what a change is for, and what happened, as they were written.

On a change: object, field, before, target, currency, key, digest and tenant never change. On attempts: all but the
answer never changes, and the answer is written once. Observations and ledger lines never change, but that who did it
may be erased from a line (the text keeps its seal). That, and deleting rows of these tables, needs a permit: a row in
`campaigns_permit`, written by an erasure in its own transaction. That table belongs to no model. On SQLite a later migration that rebuilds one of these tables drops its triggers: it has to
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
SEALED = ("campaigns_observation",)
#: Sealed but for these columns, which may become empty with a permit.
ERASABLE = {"campaigns_ledgerline": ("actor_id", "actor_salt")}
#: All other columns of it; PostgreSQL compares whole rows, SQLite has to be told.
REST = (
    "id", "client_id", "ad_account_id", "seq", "at", "kind", "change_id", "state", "level", "object_id", "object_name",
    "field", "before", "after", "currency", "by", "application_id", "note", "build_id", "text", "previous_hash",
    "hash", "activity_key",
)  # fmt: skip
KEPT = (*FROZEN, *SEALED, *ERASABLE)


def _names():
    for table in FROZEN:
        yield table, f"{table}_frozen"
    for table in (*SEALED, *ERASABLE):
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
    for table, columns in ERASABLE.items():
        erased = " AND ".join(f"NEW.\"{column}\" = ''" for column in columns)
        same = " AND ".join(f'OLD."{column}" IS NEW."{column}"' for column in REST)
        permit = "EXISTS (SELECT 1 FROM campaigns_permit)"
        yield _sqlite_trigger(table, "sealed", "UPDATE", f"NOT ({permit} AND {erased} AND {same})")
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
    for table, columns in ERASABLE.items():
        erased = " AND ".join(f"NEW.{column} = ''" for column in columns)
        names = ", ".join(f"'{column}'" for column in columns)
        same = f"to_jsonb(NEW) - ARRAY[{names}] = to_jsonb(OLD) - ARRAY[{names}]"
        permit = "EXISTS (SELECT 1 FROM campaigns_permit)"
        yield (
            f"CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {permit} AND {erased} AND {same} THEN RETURN NEW; END IF; "
            "RAISE EXCEPTION '% is sealed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        yield (
            f"CREATE TRIGGER {table}_sealed BEFORE UPDATE ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION {table}_refuse()"
        )
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
        for table in ERASABLE:
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {table}_refuse()")
    schema_editor.execute("DROP TABLE IF EXISTS campaigns_permit")


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
