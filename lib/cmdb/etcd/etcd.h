// The CMDB in etcd v3 (API version 3.4 and later).
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_ETCD_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_ETCD_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer {

// One connection, to any member. A record's revision is etcd's mod_revision. Reads and what concerns leases
// are repeated at another member for up to 5 s; transactions only if they certainly have not been seen by the
// first. A transaction has at most 128 compares and 128 mutations.
class EtcdCmdb final : public Cmdb {
 public:
  // Does not wait for a connection. Errors: InvalidArgument (the URL, or a file that it names).
  static absl::StatusOr<std::unique_ptr<Cmdb>> Open(std::string_view url, Reactor& reactor);
  ~EtcdCmdb() override;
  EtcdCmdb(const EtcdCmdb&) = delete;
  EtcdCmdb& operator=(const EtcdCmdb&) = delete;

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
  explicit EtcdCmdb(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  std::shared_ptr<Core> core_;  // callbacks that wait in the reactor hold it weakly
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_ETCD_H_
