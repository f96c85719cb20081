#include "lib/cmdb/sqlite_database.h"

#include <sqlite3.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/sqlite_query.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {
namespace {

constexpr uint32_t kDefaultPage = 1'000;
constexpr uint64_t kForgetEach = 64;  // revisions: the log is cut in pieces, not at each write

constexpr const char* kRevision = "SELECT number FROM meta WHERE name='revision'";
constexpr const char* kCompacted = "SELECT number FROM meta WHERE name='compacted'";
constexpr const char* kGet = "SELECT key, value, revision FROM records WHERE key=?1";
// The first page begins at the prefix itself, each later one after the last key.
constexpr const char* kListFirst =
    "SELECT key, value, revision FROM records WHERE key>=?1 AND key<?2 ORDER BY key LIMIT ?3";
constexpr const char* kListNext =
    "SELECT key, value, revision FROM records WHERE key>?1 AND key<?2 ORDER BY key LIMIT ?3";
// What has not changed since revision ?4, and what the first change after it replaced.
constexpr const char* kListThenFirst =
    "SELECT key, value, revision FROM records WHERE key>=?1 AND key<?2 AND revision<=?4 "
    "UNION ALL "
    "SELECT key, old_value, old_revision FROM changes c WHERE key>=?1 AND key<?2 AND revision>?4 "
    "AND old_revision>0 AND NOT EXISTS "
    "(SELECT 1 FROM changes d WHERE d.key=c.key AND d.revision>?4 AND d.revision<c.revision) "
    "ORDER BY key LIMIT ?3";
constexpr const char* kListThenNext =
    "SELECT key, value, revision FROM records WHERE key>?1 AND key<?2 AND revision<=?4 "
    "UNION ALL "
    "SELECT key, old_value, old_revision FROM changes c WHERE key>?1 AND key<?2 AND revision>?4 "
    "AND old_revision>0 AND NOT EXISTS "
    "(SELECT 1 FROM changes d WHERE d.key=c.key AND d.revision>?4 AND d.revision<c.revision) "
    "ORDER BY key LIMIT ?3";
constexpr const char* kBatchEnd =
    "SELECT revision FROM changes WHERE revision>?1 ORDER BY revision LIMIT 1 OFFSET ?2";
// The value that a change brought is what the next change of the key replaced, or else what is there now.
constexpr const char* kChanges =
    "SELECT c.key, CASE WHEN c.deleted THEN '' ELSE COALESCE("
    "(SELECT n.old_value FROM changes n WHERE n.key=c.key AND n.revision>c.revision ORDER BY n.revision "
    "LIMIT 1), "
    "(SELECT r.value FROM records r WHERE r.key=c.key), '') END, c.revision, c.deleted "
    "FROM changes c WHERE c.revision>?1 AND c.revision<=?2 ORDER BY c.revision, c.key";
constexpr const char* kLog = "INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5)";
constexpr const char* kPut = "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4)";
constexpr const char* kDelete = "DELETE FROM records WHERE key=?1";
constexpr const char* kSetRevision = "UPDATE meta SET number=?1 WHERE name='revision'";
constexpr const char* kSetCompacted = "UPDATE meta SET number=?1 WHERE name='compacted'";
constexpr const char* kForget = "DELETE FROM changes WHERE revision<=?1";

// The first text that is greater than everything that starts with `prefix`.
std::string EndOf(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(8, '\xff');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

int WaitALittle(void* give_up, int count) {
  if (static_cast<const std::atomic<bool>*>(give_up)->load()) return 0;
  const timespec pause{0, std::min(count + 1, 5) * 1'000'000L};
  nanosleep(&pause, nullptr);
  return 1;
}

}  // namespace

absl::Status SqliteDatabase::Error(int code) const {
  const int primary = code & 0xff;
  const std::string message =
      absl::StrCat("sqlite: ", path_, ": ", db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_), " (",
                   sqlite3_errstr(code), ", code ", code, ")");
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) return absl::AbortedError(message);
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) return absl::DataLossError(message);
  return absl::UnavailableError(message);
}

absl::Status SqliteDatabase::Execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<uint64_t> SqliteDatabase::Number(const char* sql) {
  Query query(*this, sql);
  if (query.Row()) return query.Number(0);
  if (!query.ok()) return Error(query.code());
  return absl::DataLossError(absl::StrCat("sqlite: ", path_, ": a row is missing: ", sql));
}

void SqliteDatabase::WaitForLocks(const std::atomic<bool>* give_up) {
  if (give_up == nullptr)
    sqlite3_busy_timeout(db_, 0);
  else
    sqlite3_busy_handler(db_, WaitALittle, const_cast<std::atomic<bool>*>(give_up));
}

Record SqliteDatabase::ReadRecord(Query& query) { return {query.Text(0), query.Text(1), query.Number(2)}; }

absl::StatusOr<Record> SqliteDatabase::Get(std::string_view key) {
  Query query(*this, kGet);
  query.Text(1, key);
  if (query.Row()) return ReadRecord(query);
  if (!query.ok()) return Error(query.code());
  return Record{std::string(key), "", 0};
}

absl::StatusOr<ListPage> SqliteDatabase::List(std::string_view prefix, std::string_view after,
                                              uint64_t at_revision, uint32_t limit) {
  const Snapshot snapshot(*this);
  if (!snapshot.status().ok()) return snapshot.status();
  const absl::StatusOr<uint64_t> revision = Number(kRevision);
  if (!revision.ok()) return revision.status();
  const absl::StatusOr<uint64_t> compacted = Number(kCompacted);
  if (!compacted.ok()) return compacted.status();
  ListPage page;
  page.revision = at_revision == 0 ? *revision : at_revision;
  if (page.revision < *compacted || page.revision > *revision) {
    return absl::OutOfRangeError(
        absl::StrCat("revision ", page.revision, " is gone: the store has ", *compacted, " to ", *revision));
  }
  if (limit == 0) limit = kDefaultPage;
  const bool first = after.empty() || after < prefix;
  const char* sql = first ? kListFirst : kListNext;
  if (page.revision != *revision) sql = first ? kListThenFirst : kListThenNext;
  const std::string end = EndOf(prefix);
  Query query(*this, sql);
  query.Text(1, first ? prefix : after).Text(2, end).Number(3, uint64_t{limit} + 1);
  if (page.revision != *revision) query.Number(4, page.revision);
  while (query.Row()) {
    if (page.records.size() == limit) {
      page.next = page.records.back().key;
      return page;
    }
    page.records.push_back(ReadRecord(query));
  }
  if (!query.ok()) return Error(query.code());
  return page;
}

absl::StatusOr<ChangeBatch> SqliteDatabase::ChangesAfter(uint64_t after, size_t limit) {
  const Snapshot snapshot(*this);
  if (!snapshot.status().ok()) return snapshot.status();
  const absl::StatusOr<uint64_t> revision = Number(kRevision);
  if (!revision.ok()) return revision.status();
  const absl::StatusOr<uint64_t> compacted = Number(kCompacted);
  if (!compacted.ok()) return compacted.status();
  ChangeBatch batch;
  batch.compacted = *compacted;
  batch.store_revision = *revision;
  batch.upto = *revision;
  if (after >= *revision) return batch;
  {
    Query end(*this, kBatchEnd);
    end.Number(1, after).Number(2, limit);
    if (end.Row()) batch.upto = end.Number(0);
    if (!end.ok()) return Error(end.code());
  }
  Query query(*this, kChanges);
  query.Number(1, after).Number(2, batch.upto);
  while (query.Row()) {
    WatchEvent event;
    event.kind = query.Number(3) != 0 ? WatchEvent::Kind::kDelete : WatchEvent::Kind::kPut;
    event.record = ReadRecord(query);
    event.revision = event.record.revision;
    batch.events.push_back(std::move(event));
  }
  if (!query.ok()) return Error(query.code());
  return batch;
}

absl::StatusOr<uint64_t> SqliteDatabase::DataVersion() { return Number("PRAGMA data_version"); }

absl::Status SqliteDatabase::Write(const Mutation& mutation, uint64_t revision, bool* changed) {
  const absl::StatusOr<Record> old = Get(mutation.key);
  if (!old.ok()) return old.status();
  const bool deletes = mutation.kind == Mutation::Kind::kDelete;
  if (deletes && old->revision == 0) return absl::OkStatus();
  *changed = true;
  Query log(*this, kLog);
  log.Number(1, revision).Text(2, mutation.key).Number(3, deletes ? 1 : 0);
  // Left NULL where there was nothing.
  if (old->revision != 0) log.Text(4, old->value);
  log.Number(5, old->revision);
  if (!log.Run()) return Error(log.code());
  Query write(*this, deletes ? kDelete : kPut);
  write.Text(1, mutation.key);
  if (!deletes) write.Text(2, mutation.value).Number(3, revision).Number(4, mutation.lease);
  return write.Run() ? absl::OkStatus() : Error(write.code());
}

absl::Status SqliteDatabase::Finish(uint64_t revision) {
  Query set(*this, kSetRevision);
  set.Number(1, revision);
  if (!set.Run()) return Error(set.code());
  if (revision <= history_ || revision % std::min(kForgetEach, history_) != 0) return absl::OkStatus();
  const uint64_t compacted = revision - history_;
  Query forget(*this, kForget);
  forget.Number(1, compacted);
  if (!forget.Run()) return Error(forget.code());
  Query mark(*this, kSetCompacted);
  mark.Number(1, compacted);
  return mark.Run() ? absl::OkStatus() : Error(mark.code());
}

// Inside the transaction; kOk means "to be committed".
absl::StatusOr<TxnOutcome> SqliteDatabase::WriteAll(const std::vector<Compare>& compares,
                                                    const std::vector<Mutation>& mutations,
                                                    TxnResult* result) {
  const absl::StatusOr<uint64_t> revision = Number(kRevision);
  if (!revision.ok()) return revision.status();
  result->revision = *revision;
  bool holds = true;
  std::vector<Record> current;
  for (const Compare& compare : compares) {
    absl::StatusOr<Record> record = Get(compare.key);
    if (!record.ok()) return record.status();
    holds = holds && record->revision == compare.revision;
    current.push_back(*std::move(record));
  }
  if (!holds) {
    result->current = std::move(current);
    return TxnOutcome::kConflict;
  }
  absl::StatusOr<std::string> ended = EndedLeaseOf(mutations);
  if (!ended.ok()) return ended.status();
  if (!ended->empty()) {
    result->error = *std::move(ended);
    return TxnOutcome::kLeaseEnded;
  }
  bool changed = false;
  for (const Mutation& mutation : mutations) {
    const absl::Status status = Write(mutation, *revision + 1, &changed);
    if (!status.ok()) return status;
  }
  if (!changed) return TxnOutcome::kOk;
  result->revision = *revision + 1;
  const absl::Status status = Finish(*revision + 1);
  if (!status.ok()) return status;
  return TxnOutcome::kOk;
}

}  // namespace fastcontainer
