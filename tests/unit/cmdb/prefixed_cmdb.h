// A part of a CMDB as if it were all of it, so that tests can share a server.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_PREFIXED_CMDB_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_PREFIXED_CMDB_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fastcontainer/cmdb.h"

namespace fastcontainer {

class PrefixedCmdb final : public Cmdb {
 public:
  PrefixedCmdb(std::unique_ptr<Cmdb> cmdb, std::string prefix)
      : cmdb_(std::move(cmdb)), prefix_(std::move(prefix)) {}

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override {
    return cmdb_->Get(Within(key), mode,
                      [size = prefix_.size(), callback = std::move(callback)](auto record) mutable {
                        if (record.ok()) record->key.erase(0, size);
                        callback(std::move(record));
                      });
  }
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback) override {
    return cmdb_->List(prefix_ + std::string(prefix), after.empty() ? "" : Within(after), at_revision, limit,
                       [size = prefix_.size(), callback = std::move(callback)](auto page) mutable {
                         if (page.ok()) {
                           page->next.erase(0, size);
                           for (Record& record : page->records) record.key.erase(0, size);
                         }
                         callback(std::move(page));
                       });
  }
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override {
    for (Compare& compare : compares) compare.key = Within(compare.key);
    for (Mutation& mutation : mutations) mutation.key = Within(mutation.key);
    return cmdb_->Txn(std::move(compares), std::move(mutations), deadline,
                      [size = prefix_.size(), callback = std::move(callback)](TxnResult result) mutable {
                        for (Record& record : result.current) record.key.erase(0, size);
                        callback(std::move(result));
                      });
  }
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override {
    return cmdb_->Watch(
        prefix_ + std::string(prefix), after_revision,
        [size = prefix_.size(), callback = std::move(callback)](const WatchEvent& event) mutable {
          WatchEvent within = event;
          within.record.key.erase(0, size);
          callback(within);
        });
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
  // An empty key stays one: drivers refuse it.
  std::string Within(std::string_view key) const { return key.empty() ? "" : prefix_ + std::string(key); }

  const std::unique_ptr<Cmdb> cmdb_;
  const std::string prefix_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_PREFIXED_CMDB_H_
