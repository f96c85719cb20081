// The CMDB in an SQLite file that several processes of one machine share.
#ifndef FASTCONTAINER_LIB_CMDB_SQLITE_H_
#define FASTCONTAINER_LIB_CMDB_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fastcontainer/cmdb.h"
#include "lib/cmdb/sqlite_database.h"

namespace fastcontainer {

// Reads run on the loop, by a connection that never waits: if the file is locked they go to the worker.
// Transactions run on the worker, durable (fsync) when they are answered. The destructor waits for the
// transaction that is running, if one is.
class SqliteCmdb final : public Cmdb {
 public:
  // May wait up to 2 s for another process that is creating the file. Errors: SqliteDatabase::Open's.
  static absl::StatusOr<std::unique_ptr<Cmdb>> Open(const std::string& path, Reactor& reactor,
                                                    uint64_t history = SqliteDatabase::kDefaultHistory);
  ~SqliteCmdb() override;
  SqliteCmdb(const SqliteCmdb&) = delete;
  SqliteCmdb& operator=(const SqliteCmdb&) = delete;

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override;
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback) override;
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override;
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override;
  OpId GrantLease(Nanos ttl, LeaseCallback callback) override;
  OpId KeepLease(uint64_t lease, LeaseCallback callback) override;
  OpId RevokeLease(uint64_t lease, LeaseCallback callback) override;
  bool Cancel(OpId id) override;

 private:
  class Core;
  explicit SqliteCmdb(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  std::shared_ptr<Core> core_;  // callbacks that wait in the reactor hold it weakly
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_SQLITE_H_
