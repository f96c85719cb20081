// A CMDB whose reads are counted.
#ifndef FASTCONTAINER_LIB_ENGINE_COUNTED_CMDB_H_
#define FASTCONTAINER_LIB_ENGINE_COUNTED_CMDB_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "fastcontainer/cmdb.h"

namespace fastcontainer {

class CountedCmdb final : public Cmdb {
 public:
  explicit CountedCmdb(std::unique_ptr<Cmdb> cmdb) : cmdb_(std::move(cmdb)) {}

  uint64_t reads() const { return reads_; }

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override {
    ++reads_;
    return cmdb_->Get(key, mode, std::move(callback));
  }
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback) override {
    ++reads_;
    return cmdb_->List(prefix, after, at_revision, limit, std::move(callback));
  }
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override {
    return cmdb_->Txn(std::move(compares), std::move(mutations), deadline, std::move(callback));
  }
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override {
    return cmdb_->Watch(prefix, after_revision, std::move(callback));
  }
  OpId GrantLease(Nanos ttl, LeaseCallback callback) override {
    return cmdb_->GrantLease(ttl, std::move(callback));
  }
  OpId KeepLease(uint64_t lease, LeaseCallback callback) override {
    return cmdb_->KeepLease(lease, std::move(callback));
  }
  OpId RevokeLease(uint64_t lease, LeaseCallback callback) override {
    return cmdb_->RevokeLease(lease, std::move(callback));
  }
  bool Cancel(OpId id) override { return cmdb_->Cancel(id); }

 private:
  const std::unique_ptr<Cmdb> cmdb_;
  uint64_t reads_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ENGINE_COUNTED_CMDB_H_
