// One connection to the SQLite file of the CMDB: its schema, and the store's operations as SQL.
#ifndef FASTCONTAINER_LIB_CMDB_SQLITE_DATABASE_H_
#define FASTCONTAINER_LIB_CMDB_SQLITE_DATABASE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/watch_set.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fastcontainer {

// Blocks. Used by one thread at a time.
//
// The file has one revision, a row that every writing transaction raises. Since SQLite has one writer at a
// time, revisions become visible in their order, which those of a sequence would not. `changes` is the log of
// the last revisions; each entry holds what was before it, so that a listing of an older revision and the
// value that an event brought can be put together without keeping any value twice.
class SqliteDatabase {
 public:
  enum class Role : uint8_t { kReader, kWriter };
  static constexpr uint64_t kDefaultHistory = 65'536;  // revisions

  // A writer creates the schema in a new or empty file, and upgrades that of an older version. Errors:
  // DataLoss (corrupt), InvalidArgument (a database of something else, or of a later version), Unavailable
  // (all else). No error changes the file.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(const std::string& path, Role role,
                                                              uint64_t history = kDefaultHistory);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Errors: Aborted (another process holds the lock: try again), DataLoss, Unavailable, OutOfRange (List).
  absl::StatusOr<Record> Get(std::string_view key);
  absl::StatusOr<ListPage> List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                                uint32_t limit);
  absl::StatusOr<ChangeBatch> ChangesAfter(uint64_t after, size_t limit);
  // Changes when another connection has changed the file.
  absl::StatusOr<uint64_t> DataVersion();
  TxnResult Apply(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations);
  struct Transaction {
    std::vector<Compare> compares;
    std::vector<Mutation> mutations;
    TxnResult result;
  };
  // A group: Begin() takes the file's lock (Aborted: it was not had), then ApplyAll() applies each as by
  // Apply(), in their order, but durable by one fsync for all; or Abandon().
  absl::Status Begin();
  void ApplyAll(const std::vector<Transaction*>& transactions);
  void Abandon();

  // When a lease ends: only within one start of the machine can moments be compared.
  struct BootTime {
    std::string boot;
    Nanos now;
    static BootTime Now();
  };
  // Errors: NotFound and InvalidArgument as Cmdb has them, otherwise as above.
  absl::StatusOr<CmdbLease> GrantLease(Nanos ttl, const BootTime& now);
  absl::StatusOr<CmdbLease> KeepLease(uint64_t lease, const BootTime& now);
  absl::StatusOr<CmdbLease> RevokeLease(uint64_t lease, const BootTime& now);
  // Ends all that are due, with their keys.
  absl::Status EndLeases(const BootTime& now);
  // How long until the first lease is due; 0: one is; kForever: there is none.
  absl::StatusOr<Nanos> NextLeaseEnd(const BootTime& now);

  // While another process holds the lock, wait for it until `*give_up` (never with null).
  void WaitForLocks(const std::atomic<bool>* give_up);

 private:
  class Query;
  class Snapshot;

  SqliteDatabase(sqlite3* db, std::string path, uint64_t history)
      : db_(db), path_(std::move(path)), history_(history) {}
  absl::Status Prepare(Role role);
  absl::Status CreateIfEmpty(Role role);
  absl::Status CheckIdentity();
  absl::Status CheckPages();
  absl::Status Upgrade();
  absl::Status SwitchToWal();

  absl::Status Execute(const char* sql);
  absl::StatusOr<uint64_t> Number(const char* sql);
  absl::Status Error(int code) const;
  Record ReadRecord(Query& query);
  absl::Status Write(const Mutation& mutation, uint64_t revision, bool* changed);
  absl::StatusOr<TxnOutcome> WriteAll(const std::vector<Compare>& compares,
                                      const std::vector<Mutation>& mutations, TxnResult* result);
  template <typename Body>
  absl::Status WriteTransaction(Body body);
  absl::StatusOr<bool> LeaseLives(uint64_t lease, const BootTime& now, Nanos* ttl);
  // Empty if every lease that is named lives; otherwise what a transaction's error says.
  absl::StatusOr<std::string> EndedLeaseOf(const std::vector<Mutation>& mutations);
  absl::Status DeleteDueLeases(const BootTime& now);
  absl::Status Finish(uint64_t revision);
  TxnResult Commit(TxnResult result);
  absl::Status WriteGroup(const std::vector<Transaction*>& transactions);

  sqlite3* const db_;
  const std::string path_;  // every error names it
  const uint64_t history_;
  const std::atomic<bool>* give_up_ = nullptr;
  std::map<const char*, sqlite3_stmt*> statements_;  // by the address of their text
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_SQLITE_DATABASE_H_
