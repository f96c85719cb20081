// The CMDB in a PostgreSQL database. Two connections for each handle: one for what is read and for
// notifications, one for what is written, so that reading never waits for another's transaction.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_H_

#include <memory>
#include <string_view>
#include <vector>

#include "fastcontainer/cmdb.h"

namespace fastcontainer {

class PostgresCmdb final : public Cmdb {
 public:
  // InvalidArgument: the URL. The server is asked later: operations tell what it says.
  static absl::StatusOr<std::unique_ptr<Cmdb>> Open(std::string_view url, Reactor& reactor);
  ~PostgresCmdb() override;

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
  explicit PostgresCmdb(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  std::shared_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_H_
