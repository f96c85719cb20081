#include "lib/cmdb/postgresql/schema.h"

#include <algorithm>

#include "absl/strings/str_replace.h"

namespace fastcontainer::postgresql {
namespace {

// $S is the schema, quoted; $N its name; $C the class of its advisory lock.
std::string For(std::string_view schema, std::string_view sql) {
  const std::string name(schema);
  return absl::StrReplaceAll(std::string(sql),
                             {{"$S", "\"" + name + "\""}, {"$N", name}, {"$C", "1718843236"}});
}

// Every name is resolved in pg_catalog or is qualified, so that nobody who may create objects elsewhere can
// put theirs in the way. All access is by index, also to tables that have not been analysed.
// statement_timeout is less than the silence after which a connection is given up.
constexpr char kSession[] = R"sql(
SELECT set_config('search_path', 'pg_catalog', false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('default_transaction_read_only', 'off', false),
       set_config('bytea_output', 'hex', false),
       set_config('jit', 'off', false),
       set_config('enable_seqscan', 'off', false),
       set_config('statement_timeout', '4000', false),
       set_config('synchronous_commit',
         CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
         ELSE current_setting('synchronous_commit') END, false);
SELECT pg_backend_pid(),
       (SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = pg_backend_pid()),
       to_regclass('$S.store') IS NOT NULL;
)sql";

constexpr char kTables[] = R"sql(
CREATE TABLE $S.store (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  version bigint NOT NULL,
  revision bigint NOT NULL,
  compacted bigint NOT NULL,
  history bigint NOT NULL CHECK (history > 0)
) WITH (fillfactor = 10);
COMMENT ON COLUMN $S.store.revision IS 'raised by each transaction that changes a record, and locked by it until it has committed';
COMMENT ON COLUMN $S.store.compacted IS 'changes up to and with this revision may be missing';
COMMENT ON COLUMN $S.store.history IS 'so many revisions are kept in changes';
CREATE TABLE $S.records (
  key bytea PRIMARY KEY,
  value bytea NOT NULL,
  revision bigint NOT NULL,
  lease bigint
) WITH (fillfactor = 90);
CREATE INDEX records_lease ON $S.records (lease) WHERE lease IS NOT NULL;
CREATE TABLE $S.changes (
  revision bigint,
  key bytea,
  value bytea,
  old_value bytea,
  old_revision bigint NOT NULL,
  PRIMARY KEY (revision, key)
);
CREATE TABLE $S.leases (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  ttl_us bigint NOT NULL,
  expires timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE VIEW $S.readable AS
  SELECT encode(key, 'escape') AS key, encode(value, 'escape') AS value, revision, lease FROM $S.records;
)sql";

// Writers take turns by the advisory lock, which costs nothing on disk when a compare fails, unlike a locked
// row. It is given back after the commit has become visible: each statement of a function sees what the
// writers before it did.
constexpr char kFunctions[] = R"sql(
CREATE FUNCTION $S.take_turn() RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM pg_advisory_xact_lock($C, hashtext('$N'));
END $f$;

CREATE FUNCTION $S.compact(upto bigint) RETURNS void LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM $S.take_turn();
  UPDATE $S.store SET compacted = least(upto, revision) WHERE compacted < upto;
  DELETE FROM $S.changes WHERE revision <= upto;
END $f$;

-- One change at revision at_revision, or at a new one if that is 0; tells which, 0 if there was nothing to delete.
CREATE FUNCTION $S.change(at_revision bigint, of_key bytea, new_value bytea, of_lease bigint)
RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE
  old $S.records%ROWTYPE;
  kept bigint;
  folder text := regexp_replace(encode(of_key, 'escape'), '[^/]*$', '');
BEGIN
  SELECT * INTO old FROM $S.records r WHERE r.key = of_key;
  IF old.key IS NULL AND new_value IS NULL THEN RETURN at_revision; END IF;
  IF at_revision = 0 THEN
    UPDATE $S.store s SET revision = s.revision + 1 RETURNING s.revision, s.history INTO at_revision, kept;
    IF at_revision > kept AND at_revision % least(kept, 64) = 0 THEN PERFORM $S.compact(at_revision - kept); END IF;
  END IF;
  INSERT INTO $S.changes VALUES (at_revision, of_key, new_value, old.value, coalesce(old.revision, 0));
  IF new_value IS NULL THEN
    DELETE FROM $S.records r WHERE r.key = of_key;
  ELSIF old.key IS NULL THEN
    INSERT INTO $S.records VALUES (of_key, new_value, at_revision, of_lease);
  ELSE
    UPDATE $S.records r SET value = new_value, revision = at_revision, lease = of_lease WHERE r.key = of_key;
  END IF;
  PERFORM pg_notify('fastcontainer_$N', 'k' || CASE WHEN length(folder) > 1000 THEN '' ELSE folder END);
  RETURN at_revision;
END $f$;

-- Never before its ttl after the server began: nobody could keep it while there was none.
CREATE FUNCTION $S.us_left(ttl_us bigint, expires timestamptz) RETURNS bigint LANGUAGE sql VOLATILE AS $f$
  SELECT ceil(extract(epoch FROM greatest(expires, pg_postmaster_start_time() + ttl_us * interval '1 microsecond')
                      - clock_timestamp()) * 1000000)::bigint
$f$;

CREATE FUNCTION $S.apply(compare_keys bytea[], compare_revisions bigint[], keys bytea[], new_values bytea[],
                                    of_leases bigint[])
RETURNS TABLE (outcome bigint, at bigint, current_value bytea, current_revision bigint) LANGUAGE plpgsql AS $f$
DECLARE
  written bigint := 0;
BEGIN
  IF cardinality(keys) > 0 OR cardinality(compare_keys) > 1 THEN PERFORM $S.take_turn(); END IF;
  FOR i IN 1 .. cardinality(compare_keys) LOOP
    SELECT r.revision INTO current_revision FROM $S.records r WHERE r.key = compare_keys[i];
    IF coalesce(current_revision, 0) <> compare_revisions[i] THEN
      outcome := 1;
      SELECT s.revision INTO at FROM $S.store s;
      FOR j IN 1 .. cardinality(compare_keys) LOOP
        SELECT r.value, r.revision INTO current_value, current_revision FROM $S.records r WHERE r.key = compare_keys[j];
        current_revision := coalesce(current_revision, 0);
        RETURN NEXT;
      END LOOP;
      RETURN;
    END IF;
  END LOOP;
  FOR i IN 1 .. cardinality(keys) LOOP
    IF of_leases[i] <> 0 AND NOT EXISTS (SELECT FROM $S.leases l WHERE l.id = of_leases[i]
                                         AND $S.us_left(l.ttl_us, l.expires) > 0) THEN
      outcome := 2;
      at := i - 1;
      RETURN NEXT;
      RETURN;
    END IF;
  END LOOP;
  FOR i IN 1 .. cardinality(keys) LOOP
    written := $S.change(written, keys[i], new_values[i], nullif(of_leases[i], 0));
  END LOOP;
  IF written = 0 THEN SELECT s.revision INTO written FROM $S.store s; END IF;
  outcome := 0;
  at := written;
  RETURN NEXT;
END $f$;

CREATE FUNCTION $S.delete_keys_of(ended bigint[]) RETURNS void LANGUAGE plpgsql AS $f$
DECLARE
  written bigint := 0;
  of_key bytea;
BEGIN
  FOR of_key IN SELECT r.key FROM $S.records r WHERE r.lease = ANY (ended) ORDER BY r.key LOOP
    written := $S.change(written, of_key, NULL, NULL);
  END LOOP;
END $f$;

CREATE FUNCTION $S.next_end() RETURNS bigint LANGUAGE sql VOLATILE AS $f$
  SELECT min($S.us_left(l.ttl_us, l.expires)) FROM $S.leases l
$f$;

-- A lease that is kept meanwhile stays: DELETE waits for that row, and then judges it again.
CREATE FUNCTION $S.sweep() RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE
  ended bigint[];
BEGIN
  IF $S.next_end() <= 0 THEN
    PERFORM $S.take_turn();
    WITH gone AS (DELETE FROM $S.leases l WHERE $S.us_left(l.ttl_us, l.expires) <= 0 RETURNING l.id)
      SELECT array_agg(gone.id) INTO ended FROM gone;
    PERFORM $S.delete_keys_of(ended);
  END IF;
  RETURN $S.next_end();
END $f$;

CREATE FUNCTION $S.grant_lease(of_ttl_us bigint) RETURNS bigint LANGUAGE plpgsql AS $f$
DECLARE
  granted bigint;
BEGIN
  INSERT INTO $S.leases (ttl_us, expires) VALUES (of_ttl_us, clock_timestamp() + of_ttl_us * interval '1 microsecond')
    RETURNING id INTO granted;
  PERFORM pg_notify('fastcontainer_$N', 'l');
  RETURN granted;
END $f$;

CREATE FUNCTION $S.revoke_lease(of_id bigint) RETURNS bigint LANGUAGE plpgsql AS $f$
BEGIN
  PERFORM $S.take_turn();
  DELETE FROM $S.leases l WHERE l.id = of_id AND $S.us_left(l.ttl_us, l.expires) > 0;
  IF NOT FOUND THEN RETURN 0; END IF;
  PERFORM $S.delete_keys_of(ARRAY[of_id]);
  RETURN 1;
END $f$;
)sql";

constexpr std::pair<const char*, const char*> kStatements[] = {
    {kGet, R"sql(SELECT value, revision FROM $S.records WHERE key = $1)sql"},
    {kList, R"sql(SELECT s.revision, s.compacted, r.key, r.value, r.revision FROM $S.store s LEFT JOIN
    (SELECT key, value, revision FROM $S.records WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3) r ON true
  ORDER BY r.key)sql"},
    {kListAt, R"sql(SELECT s.revision, s.compacted, r.key, r.value, r.revision FROM $S.store s LEFT JOIN
    (SELECT * FROM (
       (SELECT key, value, revision FROM $S.records
        WHERE key >= $1 AND key < $2 AND revision <= $4 ORDER BY key LIMIT $3)
       UNION ALL
       (SELECT key, old_value, old_revision FROM
          (SELECT DISTINCT ON (key) key, old_value, old_revision FROM $S.changes
           WHERE revision > $4 AND key >= $1 AND key < $2 ORDER BY key, revision) replaced
        WHERE old_revision > 0 ORDER BY key LIMIT $3)) both_parts
     ORDER BY key LIMIT $3) r ON true
  ORDER BY r.key)sql"},
    {kChanges, R"sql(SELECT s.revision, s.compacted, c.revision, c.key, c.value FROM $S.store s LEFT JOIN
    (SELECT revision, key, value FROM $S.changes WHERE revision > $1
     ORDER BY revision FETCH FIRST ($2) ROWS WITH TIES) c ON true
  ORDER BY c.revision, c.key)sql"},
    {kApply, R"sql(SELECT * FROM $S.apply($1, $2, $3, $4, $5))sql"},
    {kGrant, R"sql(SELECT $S.grant_lease($1))sql"},
    {kKeep, R"sql(UPDATE $S.leases SET expires = clock_timestamp() + ttl_us * interval '1 microsecond'
  WHERE id = $1 AND $S.us_left(ttl_us, expires) > 0 RETURNING ttl_us)sql"},
    {kRevoke, R"sql(SELECT $S.revoke_lease($1))sql"},
    {kNextEnd, R"sql(SELECT $S.next_end())sql"},
    {kSweep, R"sql(SELECT $S.sweep())sql"},
};

}  // namespace

bool IsSchemaName(std::string_view name) {
  return !name.empty() && name.size() <= 48 && !(name[0] >= '0' && name[0] <= '9') &&
         !name.starts_with("pg_") && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string SessionScript(std::string_view schema) { return For(schema, kSession); }

std::string VersionScript(std::string_view schema) { return For(schema, "SELECT version FROM $S.store"); }

std::string CreateScript(std::string_view schema) {
  // CREATE SCHEMA IF NOT EXISTS asks for the right to create one also where it exists.
  std::string script = R"sql(
BEGIN;
SELECT pg_advisory_xact_lock($C, hashtext('$N'));
DO $do$ BEGIN
IF to_regclass('$S.store') IS NOT NULL THEN RETURN; END IF;
IF to_regnamespace('$S') IS NULL THEN CREATE SCHEMA $S; END IF;
EXECUTE $all$)sql";
  script += kTables;
  script += kFunctions;
  script += "INSERT INTO $S.store (version, revision, compacted, history) VALUES (";
  script += std::to_string(kSchemaVersion) + ", 0, 0, 100000);\n$all$; END $do$; COMMIT;";
  return For(schema, script);
}

std::vector<std::pair<const char*, std::string>> Statements(std::string_view schema) {
  std::vector<std::pair<const char*, std::string>> statements;
  for (const auto& [name, sql] : kStatements) statements.emplace_back(name, For(schema, sql));
  return statements;
}

std::string ListenScript(std::string_view schema) { return For(schema, "LISTEN \"fastcontainer_$N\""); }

}  // namespace fastcontainer::postgresql
