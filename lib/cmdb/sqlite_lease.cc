// Leases in the SQLite file. They end by the clock that runs also while the machine sleeps, and at the latest
// when it starts anew.
#include <fcntl.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/sqlite_database.h"
#include "lib/cmdb/sqlite_query.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {
namespace {

// Of another start of the machine; over; or ends later than it can, if there is no telling starts apart.
#define FASTCONTAINER_LEASE_IS_DUE "(boot<>?1 OR expires<=?2 OR expires>?2+ttl)"

constexpr const char* kNewId = "UPDATE meta SET number=number+1 WHERE name='lease'";
constexpr const char* kLastId = "SELECT number FROM meta WHERE name='lease'";
constexpr const char* kInsert = "INSERT INTO leases VALUES (?1, ?2, ?3, ?4)";
constexpr const char* kLive = "SELECT ttl FROM leases WHERE id=?3 AND NOT " FASTCONTAINER_LEASE_IS_DUE;
constexpr const char* kExtend = "UPDATE leases SET expires=?2 WHERE id=?1";
constexpr const char* kExpireNow = "UPDATE leases SET expires=0 WHERE id=?1";
constexpr const char* kNextEnd =
    "SELECT count(*), min(CASE WHEN " FASTCONTAINER_LEASE_IS_DUE " THEN 0 ELSE expires-?2 END) FROM leases";
constexpr const char* kDueKeys =
    "SELECT key FROM records WHERE lease>0 AND lease IN (SELECT id FROM leases "
    "WHERE " FASTCONTAINER_LEASE_IS_DUE ") ORDER BY key";
constexpr const char* kDeleteDue = "DELETE FROM leases WHERE " FASTCONTAINER_LEASE_IS_DUE;

#undef FASTCONTAINER_LEASE_IS_DUE

std::string ReadBootId() {
  char id[64];
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? 0 : read(fd, id, sizeof(id));
  if (fd >= 0) close(fd);
  return std::string(id, size > 0 ? static_cast<size_t>(std::find(id, id + size, '\n') - id) : 0);
}

}  // namespace

SqliteDatabase::BootTime SqliteDatabase::BootTime::Now() {
  static const std::string* const boot = new std::string(ReadBootId());
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return {*boot, static_cast<Nanos>(now.tv_sec) * kSecond + now.tv_nsec};
}

absl::StatusOr<Nanos> SqliteDatabase::NextLeaseEnd(const BootTime& now) {
  Query query(*this, kNextEnd);
  query.Text(1, now.boot).Number(2, static_cast<uint64_t>(now.now));
  if (!query.Row()) return Error(query.code());
  return query.Number(0) == 0 ? kForever : static_cast<Nanos>(query.Number(1));
}

absl::StatusOr<bool> SqliteDatabase::LeaseLives(uint64_t lease, const BootTime& now, Nanos* ttl) {
  Query query(*this, kLive);
  query.Text(1, now.boot).Number(2, static_cast<uint64_t>(now.now)).Number(3, lease);
  if (query.Row()) {
    *ttl = static_cast<Nanos>(query.Number(0));
    return true;
  }
  if (!query.ok()) return Error(query.code());
  return false;
}

absl::StatusOr<std::string> SqliteDatabase::EndedLeaseOf(const std::vector<Mutation>& mutations) {
  for (const Mutation& mutation : mutations) {
    if (mutation.kind != Mutation::Kind::kPut || mutation.lease == 0) continue;
    Nanos ttl = 0;
    const absl::StatusOr<bool> lives = LeaseLives(mutation.lease, BootTime::Now(), &ttl);
    if (!lives.ok()) return lives.status();
    if (!*lives) return LeaseEndedText(mutation);
  }
  return std::string();
}

template <typename Body>
absl::Status SqliteDatabase::WriteTransaction(Body body) {
  absl::Status status = Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  status = body();
  if (status.ok()) status = Execute("COMMIT");
  if (sqlite3_get_autocommit(db_) == 0) Execute("ROLLBACK").IgnoreError();
  return status;
}

absl::Status SqliteDatabase::DeleteDueLeases(const BootTime& now) {
  std::vector<std::string> keys;
  {
    Query due(*this, kDueKeys);
    due.Text(1, now.boot).Number(2, static_cast<uint64_t>(now.now));
    while (due.Row()) keys.push_back(due.Text(0));
    if (!due.ok()) return Error(due.code());
  }
  const absl::StatusOr<uint64_t> revision = Number("SELECT number FROM meta WHERE name='revision'");
  if (!revision.ok()) return revision.status();
  bool changed = false;
  for (const std::string& key : keys) {
    const absl::Status status = Write({Mutation::Kind::kDelete, key, ""}, *revision + 1, &changed);
    if (!status.ok()) return status;
  }
  Query forget(*this, kDeleteDue);
  forget.Text(1, now.boot).Number(2, static_cast<uint64_t>(now.now));
  if (!forget.Run()) return Error(forget.code());
  return changed ? Finish(*revision + 1) : absl::OkStatus();
}

absl::Status SqliteDatabase::EndLeases(const BootTime& now) {
  return WriteTransaction([&] {
    // Another process may have been first; then there is nothing to write.
    const absl::StatusOr<Nanos> next = NextLeaseEnd(now);
    if (!next.ok()) return next.status();
    return *next > 0 ? absl::OkStatus() : DeleteDueLeases(now);
  });
}

absl::StatusOr<CmdbLease> SqliteDatabase::GrantLease(Nanos ttl, const BootTime& now) {
  if (absl::Status valid = CheckLeaseTtl(ttl); !valid.ok()) return valid;
  CmdbLease lease{0, ttl};
  const absl::Status status = WriteTransaction([&] {
    Query next(*this, kNewId);
    if (!next.Run()) return Error(next.code());
    const absl::StatusOr<uint64_t> id = Number(kLastId);
    if (!id.ok()) return id.status();
    lease.id = *id;
    Query insert(*this, kInsert);
    insert.Number(1, lease.id).Number(2, static_cast<uint64_t>(ttl));
    insert.Number(3, static_cast<uint64_t>(now.now + ttl)).Text(4, now.boot);
    return insert.Run() ? absl::OkStatus() : Error(insert.code());
  });
  if (!status.ok()) return status;
  return lease;
}

absl::StatusOr<CmdbLease> SqliteDatabase::KeepLease(uint64_t lease, const BootTime& now) {
  Nanos ttl = 0;
  const absl::Status status = WriteTransaction([&] {
    const absl::StatusOr<bool> lives = LeaseLives(lease, now, &ttl);
    if (!lives.ok()) return lives.status();
    if (!*lives) return LeaseNotFound(lease);
    Query extend(*this, kExtend);
    extend.Number(1, lease).Number(2, static_cast<uint64_t>(now.now + ttl));
    return extend.Run() ? absl::OkStatus() : Error(extend.code());
  });
  if (!status.ok()) return status;
  return CmdbLease{lease, ttl};
}

absl::StatusOr<CmdbLease> SqliteDatabase::RevokeLease(uint64_t lease, const BootTime& now) {
  const absl::Status status = WriteTransaction([&] {
    Nanos ttl = 0;
    const absl::StatusOr<bool> lives = LeaseLives(lease, now, &ttl);
    if (!lives.ok()) return lives.status();
    if (!*lives) return LeaseNotFound(lease);
    {
      Query expire(*this, kExpireNow);
      expire.Number(1, lease);
      if (!expire.Run()) return Error(expire.code());
    }
    return DeleteDueLeases(now);
  });
  if (!status.ok()) return status;
  return CmdbLease{lease, 0};
}

}  // namespace fastcontainer
