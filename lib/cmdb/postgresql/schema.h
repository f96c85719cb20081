// What the driver keeps in a database: tables, the functions that change them, and the statements it uses.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_SCHEMA_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_SCHEMA_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fastcontainer::postgresql {

inline constexpr int kSchemaVersion = 1;
inline constexpr int kOldestServer = 140000;  // pg_terminate_backend() that waits

// Small letters, digits and _, not first a digit, at most 48.
bool IsSchemaName(std::string_view name);

// Statements for the simple query protocol. Tells, as one row: the number of this server process, when it
// began, and whether the schema has been made.
std::string SessionScript(std::string_view schema);
// As one row: its version.
std::string VersionScript(std::string_view schema);
// Makes the schema and what is in it, once, however many try.
std::string CreateScript(std::string_view schema);
std::string ListenScript(std::string_view schema);

// What is to be prepared: names and texts.
std::vector<std::pair<const char*, std::string>> Statements(std::string_view schema);
// Their names, with their parameters and columns. Numbers are bigint.
inline constexpr char kGet[] = "fc_get";  // key; value, revision
// from, below, limit; store's revision, compacted, and NULL or key, value, revision
inline constexpr char kList[] = "fc_list";
inline constexpr char kListAt[] = "fc_list_at";  // as kList and the revision
// after, limit; store's revision, compacted, and NULL or revision, key, value (NULL: deleted). Of the last
// revision all changes, also beyond the limit.
inline constexpr char kChanges[] = "fc_changes";
// Compared keys, their revisions, changed keys, values (NULL: delete), leases (0: none); outcome, revision or
// index from 0 of the put whose lease has ended, and at a conflict a row for each compare: value, revision.
inline constexpr char kApply[] = "fc_apply";
inline constexpr int64_t kApplied = 0;
inline constexpr int64_t kConflict = 1;
inline constexpr int64_t kLeaseEnded = 2;
inline constexpr char kGrant[] = "fc_grant";       // ttl in us; id
inline constexpr char kKeep[] = "fc_keep";         // id; ttl in us, no row if it has ended
inline constexpr char kRevoke[] = "fc_revoke";     // id; 1, or 0 if it had ended
inline constexpr char kNextEnd[] = "fc_next_end";  // us until the first lease ends; NULL: there is none
inline constexpr char kSweep[] = "fc_sweep";       // ends what is due; as kNextEnd

// Notifications: the first letter says what changed.
inline constexpr char kKeysChanged =
    'k';  // and the keys' common beginning up to its last '/', in encode()'s 'escape'
inline constexpr char kLeasesChanged = 'l';  // one was granted

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_SCHEMA_H_
