// The callbacks of operations in progress: each leaves once, to be called or to be forgotten.
#ifndef FASTCONTAINER_LIB_CMDB_PENDING_OPS_H_
#define FASTCONTAINER_LIB_CMDB_PENDING_OPS_H_

#include <map>
#include <utility>
#include <variant>

#include "fastcontainer/cmdb.h"

namespace fastcontainer {

class PendingOps {
 public:
  template <typename Callback>
  void Add(Cmdb::OpId id, Callback callback) {
    ops_.emplace(id, std::move(callback));
  }
  bool Has(Cmdb::OpId id) const { return ops_.count(id) > 0; }
  bool Forget(Cmdb::OpId id) { return ops_.erase(id) > 0; }
  void Clear() { ops_.clear(); }

  // Nothing happens if the operation has completed or was cancelled.
  void Complete(Cmdb::OpId id, absl::StatusOr<Record> result) {
    Run<Cmdb::GetCallback>(id, std::move(result));
  }
  void Complete(Cmdb::OpId id, absl::StatusOr<ListPage> result) {
    Run<Cmdb::ListCallback>(id, std::move(result));
  }
  void Complete(Cmdb::OpId id, absl::StatusOr<CmdbLease> result) {
    Run<Cmdb::LeaseCallback>(id, std::move(result));
  }
  void Complete(Cmdb::OpId id, TxnResult result) { Run<Cmdb::TxnCallback>(id, std::move(result)); }

 private:
  template <typename Callback, typename Result>
  void Run(Cmdb::OpId id, Result result) {
    const auto found = ops_.find(id);
    if (found == ops_.end()) return;
    Callback callback = std::get<Callback>(std::move(found->second));
    ops_.erase(found);
    callback(std::move(result));
  }

  std::map<Cmdb::OpId,
           std::variant<Cmdb::GetCallback, Cmdb::ListCallback, Cmdb::TxnCallback, Cmdb::LeaseCallback>>
      ops_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_PENDING_OPS_H_
