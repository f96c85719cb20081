// Opening the file: whose it is, whether it is whole, and its schema.
#include <sqlite3.h>
#include <time.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/sqlite_database.h"
#include "lib/cmdb/sqlite_query.h"

namespace fastcontainer {
namespace {

constexpr uint64_t kApplicationId = 0x66636462;  // "fcdb"
constexpr uint64_t kSchemaVersion = 2;
constexpr int kOpenWaitMs = 2'000;             // for the lock of a process that is creating the file
constexpr uint64_t kCheckedBytes = 64u << 20;  // a full check of more would hold up the start

constexpr const char* kSchema = R"(
CREATE TABLE records (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE changes (revision INTEGER NOT NULL, key TEXT NOT NULL, deleted INTEGER NOT NULL,
                      old_value TEXT, old_revision INTEGER NOT NULL, PRIMARY KEY (revision, key)) WITHOUT ROWID;
CREATE INDEX changes_of_key ON changes (key, revision);
CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', 0), ('compacted', 0);
)";

// From version 1. A process with an older library that has the file open cannot write any more.
constexpr const char* kLeaseSchema = R"(
ALTER TABLE records ADD COLUMN lease INTEGER NOT NULL DEFAULT 0;
CREATE INDEX records_of_lease ON records (lease) WHERE lease>0;
CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL, expires INTEGER NOT NULL, boot TEXT NOT NULL);
INSERT INTO meta VALUES ('lease', 0);
PRAGMA user_version=2;
)";

void SleepMs(long ms) {
  const timespec pause{ms / 1'000, ms % 1'000 * 1'000'000};
  nanosleep(&pause, nullptr);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path, Role role,
                                                                     uint64_t history) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (role == Role::kWriter ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(db, path, history));
  if (code != SQLITE_OK) return database->Error(code);
  absl::Status status = database->Prepare(role);
  if (!status.ok()) return status;
  return database;
}

SqliteDatabase::~SqliteDatabase() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::Status SqliteDatabase::Prepare(Role role) {
  // Until the file is known to be ours and whole, closing it must not write the log back into it.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_busy_timeout(db_, kOpenWaitMs);
  absl::Status status = Execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON");
  if (status.ok()) status = CreateIfEmpty(role);
  if (status.ok()) status = CheckIdentity();
  if (status.ok() && role == Role::kWriter) status = CheckPages();
  if (status.ok() && role == Role::kWriter) status = Upgrade();
  if (status.ok() && sqlite3_db_readonly(db_, "main") != 0)
    status = absl::UnavailableError(absl::StrCat(path_, " cannot be written"));
  if (status.ok()) status = SwitchToWal();
  if (status.ok()) status = Number("SELECT number FROM meta WHERE name='revision'").status();
  if (status.ok())
    status = Execute(role == Role::kWriter ? "PRAGMA synchronous=FULL" : "PRAGMA query_only=ON");
  if (!status.ok()) return status;
  sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  // From here on the loop never waits for a lock, and the worker as long as WaitForLocks says.
  sqlite3_busy_timeout(db_, 0);
  return absl::OkStatus();
}

absl::Status SqliteDatabase::CreateIfEmpty(Role role) {
  absl::StatusOr<uint64_t> tables = Number("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  const absl::StatusOr<uint64_t> id = Number("PRAGMA application_id");
  if (!id.ok() || *tables > 0 || *id != 0) return id.status();
  if (role == Role::kReader) return absl::UnavailableError(absl::StrCat(path_, " has no schema"));
  absl::Status status = Execute("BEGIN EXCLUSIVE");
  if (!status.ok()) return status;
  // Another process may have been first.
  tables = Number("SELECT count(*) FROM sqlite_master");
  if (tables.ok() && *tables == 0) {
    status = Execute(kSchema);
    if (status.ok()) status = Execute(kLeaseSchema);
    if (status.ok()) status = Execute(absl::StrCat("PRAGMA application_id=", kApplicationId).c_str());
  } else {
    status = tables.status();
  }
  if (status.ok()) status = Execute("COMMIT");
  if (!status.ok() && sqlite3_get_autocommit(db_) == 0) Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteDatabase::CheckIdentity() {
  const absl::StatusOr<uint64_t> id = Number("PRAGMA application_id");
  if (!id.ok()) return id.status();
  const absl::StatusOr<uint64_t> version = Number("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*id != kApplicationId) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, " is an SQLite database of something else: application_id is ", *id,
                     ", expected ", kApplicationId));
  }
  if (*version == 0 || *version > kSchemaVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat(path_, " has schema version ", *version, "; this library knows 1 to ", kSchemaVersion));
  }
  return absl::OkStatus();
}

absl::Status SqliteDatabase::Upgrade() {
  absl::StatusOr<uint64_t> version = Number("PRAGMA user_version");
  if (!version.ok() || *version == kSchemaVersion) return version.status();
  if (sqlite3_db_readonly(db_, "main") != 0) return absl::OkStatus();  // refused by what follows
  absl::Status status = Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  // Another process may have been first.
  version = Number("PRAGMA user_version");
  status = version.status();
  if (status.ok() && *version != kSchemaVersion) status = Execute(kLeaseSchema);
  if (status.ok()) status = Execute("COMMIT");
  if (sqlite3_get_autocommit(db_) == 0) Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteDatabase::CheckPages() {
  const absl::StatusOr<uint64_t> pages = Number("PRAGMA page_count");
  if (!pages.ok()) return pages.status();
  const absl::StatusOr<uint64_t> page_size = Number("PRAGMA page_size");
  if (!page_size.ok()) return page_size.status();
  if (*pages * *page_size > kCheckedBytes) return absl::OkStatus();
  Query check(*this, "PRAGMA quick_check(1)");
  if (!check.Row()) return Error(check.code());
  const std::string verdict = check.Text(0);
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("sqlite: ", path_, " is corrupt: ", verdict));
}

absl::Status SqliteDatabase::SwitchToWal() {
  // SQLite does not wait for the lock here where waiting could be a deadlock.
  absl::Status status;
  for (int waited = 0; waited < kOpenWaitMs; waited += 5) {
    {
      Query mode(*this, "PRAGMA journal_mode=WAL");
      if (mode.Row()) {
        if (mode.Text(0) == "wal") return absl::OkStatus();
        return absl::UnavailableError(
            absl::StrCat("sqlite: ", path_, ": no write-ahead log here: ", mode.Text(0)));
      }
      status = Error(mode.code());
    }
    if (!absl::IsAborted(status)) return status;
    SleepMs(5);
  }
  return absl::UnavailableError(status.message());
}

}  // namespace fastcontainer
