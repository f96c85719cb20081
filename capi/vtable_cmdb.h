// A user's CMDB (fc_cmdb_vtable) as a driver.
#ifndef FASTCONTAINER_CAPI_VTABLE_CMDB_H_
#define FASTCONTAINER_CAPI_VTABLE_CMDB_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "capi/include/fastcontainer.h"
#include "capi/user_object.h"
#include "capi/vtable_ops.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer::capi {

// FC_E_INVALID names what is missing; `out` is then not usable.
int32_t ReadCmdbVtable(const fc_cmdb_vtable* in, fc_cmdb_vtable* out, fc_error* error);

class VtableCmdb final : public Cmdb {
 public:
  VtableCmdb(Reactor& reactor, VtableOps& ops, const fc_cmdb_vtable& vtable, void* user_data,
             std::shared_ptr<const bool> taken)
      : reactor_(reactor), ops_(ops), vtable_(vtable), user_(user_data, vtable.destroy, std::move(taken)) {}
  ~VtableCmdb() override;

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
  struct Pending {
    fc_op op = 0;                // 0: a watch that waits to begin again
    Reactor::TimerId timer = 0;  // the deadline of a transaction or lease operation; that pause
  };
  struct WatchState {
    std::string prefix;
    uint64_t revision = 0;
    bool again = false;  // it has ended once with an error
    WatchCallback callback;
  };

  // Forgets the operation; its callback is about to run, or never will.
  void Drop(OpId id);
  void Withdraw(Pending& pending);
  template <typename Submit>
  OpId AskLease(LeaseCallback callback, Submit submit);
  void BeginWatch(OpId id, const std::shared_ptr<WatchState>& state);
  void OnWatchAnswer(OpId id, const std::shared_ptr<WatchState>& state, Answer& answer);

  Reactor& reactor_;
  VtableOps& ops_;
  const fc_cmdb_vtable vtable_;
  const UserObject user_;
  OpId next_ = 1;
  absl::flat_hash_map<OpId, Pending> pending_;
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_CMDB_H_
