// The state of a handle, which lives on while one of its callbacks destroys the handle.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_CORE_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_CORE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/cmdb/pending_ops.h"
#include "lib/cmdb/postgresql/connection.h"
#include "lib/cmdb/postgresql/postgres.h"
#include "lib/cmdb/watch_set.h"

namespace fastcontainer {

class PostgresCmdb::Core : public std::enable_shared_from_this<PostgresCmdb::Core> {
 public:
  Core(postgresql::Options options, Reactor& reactor) : options_(std::move(options)), reactor_(reactor) {}

  void Start();
  void Stop();

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback);
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback);
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback);
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback);
  OpId GrantLease(Nanos ttl, LeaseCallback callback);
  OpId KeepLease(uint64_t lease, LeaseCallback callback);
  OpId RevokeLease(uint64_t lease, LeaseCallback callback);
  bool Cancel(OpId id);

 private:
  struct Transaction {
    std::vector<Compare> compares;
    std::vector<Mutation> mutations;
    Nanos deadline = 0;
    Reactor::TimerId timer = 0;
    postgresql::Connection::RequestId request = 0;
  };

  // As it is given to reactor, connections and observers: nothing happens after Stop().
  template <typename Action>
  auto Guarded(Action action) {
    return [weak = weak_from_this(), action = std::move(action)](auto&&... arguments) mutable {
      const auto core = weak.lock();
      if (core != nullptr && !core->stopped_) action(*core, std::forward<decltype(arguments)>(arguments)...);
    };
  }
  template <typename Callback>
  OpId NewOp(Callback callback) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    return id;
  }
  template <typename Outcome>
  void CompleteLater(OpId id, Outcome outcome) {
    reactor_.Defer(Guarded([id, outcome = std::move(outcome)](Core& core) mutable {
      core.pending_.Complete(id, std::move(outcome));
    }));
  }

  void SendTxn(OpId id);
  void OnTxnAnswer(OpId id, const postgresql::Answer& answer);
  void Expire(OpId id);
  void EndTxn(OpId id, TxnResult result);

  void OnReaderReady();
  void OnReaderLost();
  void OnWriterReady() { unsettled_.clear(); }
  void OnNotification(std::string_view payload);
  void Pump();
  void OnChanges(uint64_t after, const postgresql::Answer& answer);
  void Poll();

  // postgres_leases.cc
  void CheckLeases();
  void OnNextEnd(const postgresql::Answer& answer, bool swept);

  const postgresql::Options options_;
  Reactor& reactor_;
  bool stopped_ = false;
  OpId next_id_ = 1;
  PendingOps pending_;
  std::map<OpId, Transaction> transactions_;
  // Whose outcome was told as kUnknown, and may still change: while there are any, a linearizable read goes
  // where they went, behind them.
  std::set<OpId> unsettled_;
  std::shared_ptr<postgresql::Connection> reader_;
  std::shared_ptr<postgresql::Connection> writer_;

  WatchSet watches_;
  bool reading_changes_ = false;
  bool changed_meanwhile_ = false;
  Reactor::TimerId poll_timer_ = 0;
  Reactor::TimerId lease_timer_ = 0;
  bool checking_leases_ = false;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_POSTGRES_CORE_H_
