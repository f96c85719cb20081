#include "lib/cmdb/memory.h"

#include <utility>

#include "lib/cmdb/pending_ops.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {
namespace {

constexpr size_t kWatchBatch = 1'000;

// True if the fault befalls this operation.
bool Take(int* counter) {
  if (*counter > 0)
    --*counter;
  else if (*counter == 0)
    return false;
  return true;
}

}  // namespace

class MemoryCmdb::Core : public std::enable_shared_from_this<MemoryCmdb::Core> {
 public:
  Core(std::shared_ptr<MemoryStore> store, Reactor& reactor) : store_(std::move(store)), reactor_(reactor) {}

  void Start() {
    listener_ = store_->AddListener([weak = weak_from_this(), this] {
      // Safe to touch: the listener is removed, under the store's lock, before the core goes.
      if (notified_.exchange(true)) return;
      reactor_.Post([weak] {
        if (const auto core = weak.lock()) core->Notified();
      });
    });
    ArmLeaseTimer();
  }

  void Stop() {
    store_->RemoveListener(listener_);
    reactor_.CancelTimer(lease_timer_);
    pending_.Clear();
    watches_.Clear();
    stopped_ = true;
  }

  template <typename Callback>
  OpId NewOp(Callback callback) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    return id;
  }

  // `apply` asks the store; its result is delivered afterwards. A cancelled operation reaches the store all
  // the same, as it would over a network.
  template <typename Apply>
  void Submit(OpId id, Apply apply) {
    const Nanos back = faults_.delay - faults_.delay / 2;
    if (faults_.delay <= 0) return Deliver(id, apply(), 0);
    Later(faults_.delay / 2,
          [id, back, apply = std::move(apply)](Core& core) mutable { core.Deliver(id, apply(), back); });
  }

  void ExpireAt(OpId id, Nanos deadline) {
    reactor_.At(deadline, [weak = weak_from_this(), id] {
      TxnResult result;
      result.outcome = TxnOutcome::kUnknown;
      result.error = "the deadline passed before the store answered";
      if (const auto core = weak.lock()) core->pending_.Complete(id, std::move(result));
    });
  }

  TxnResult Apply(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations) {
    TxnResult result;
    if (Take(&faults_.fail_txns)) {
      result.error = "injected: the store cannot be reached";
      return result;
    }
    if (Take(&faults_.conflicts)) {
      result.outcome = TxnOutcome::kConflict;
      for (const Compare& compare : compares) result.current.push_back(Current()->Get(compare.key));
      return result;
    }
    const bool applied = Take(&faults_.unknown_applied);
    if (!applied && !Take(&faults_.unknown_not_applied)) return Current()->Apply(compares, mutations);
    if (applied) Current()->Apply(compares, mutations);
    result.outcome = TxnOutcome::kUnknown;
    result.error = "injected: the answer was lost";
    return result;
  }

  // `change` asks the store about a lease.
  template <typename Change>
  absl::StatusOr<CmdbLease> ChangeLease(Change change) {
    if (Take(&faults_.fail_leases)) return absl::UnavailableError("injected: the store cannot be reached");
    const bool lost = Take(&faults_.lost_leases);
    absl::StatusOr<CmdbLease> lease = change(*store_, reactor_.Now());
    ArmLeaseTimer();
    if (lost) return absl::UnavailableError("injected: the answer was lost");
    return lease;
  }

  // What is due has ended, also where no timer has run yet.
  const std::shared_ptr<MemoryStore>& Current() {
    store_->EndLeases(reactor_.Now());
    return store_;
  }

  bool ReadFails() { return Take(&faults_.fail_reads); }

  OpId Watch(std::string_view prefix, uint64_t after, WatchCallback callback) {
    const OpId id = next_id_++;
    watches_.Add(id, prefix, after, std::move(callback));
    Later(faults_.delay, [](Core& core) { core.Pump(); });
    return id;
  }

  bool Cancel(OpId id) { return pending_.Forget(id) || watches_.Cancel(id); }

  void SetConnected(bool connected) {
    Later(0, [connected](Core& core) {
      if (!connected) return core.watches_.Disconnect();
      core.watches_.Connect();
      core.Pump();
    });
  }

  Faults faults_;
  const std::shared_ptr<MemoryStore> store_;
  Reactor& reactor_;

 private:
  template <typename Result>
  void Deliver(OpId id, Result result, Nanos delay) {
    Later(delay, [id, result = std::move(result)](Core& core) mutable {
      core.pending_.Complete(id, std::move(result));
    });
  }

  template <typename Action>
  void Later(Nanos delay, Action action) {
    auto run = [weak = weak_from_this(), action = std::move(action)]() mutable {
      if (const auto core = weak.lock(); core != nullptr && !core->stopped_) action(*core);
    };
    if (delay > 0)
      reactor_.After(delay, std::move(run));
    else
      reactor_.Defer(std::move(run));
  }

  void Notified() {
    notified_ = false;
    if (stopped_) return;
    ArmLeaseTimer();
    if (watches_.empty()) return;
    if (faults_.delay > 0) return Later(faults_.delay, [](Core& core) { core.Pump(); });
    Pump();
  }

  // Every handle ends the leases that are due, whoever granted them: that one may be gone.
  void ArmLeaseTimer() {
    const Nanos next = store_->NextLeaseEnd();
    if (next == lease_timer_end_) return;
    reactor_.CancelTimer(lease_timer_);
    lease_timer_ = 0;
    lease_timer_end_ = next;
    if (next == kForever) return;
    lease_timer_ = reactor_.At(next, [weak = weak_from_this()] {
      const auto core = weak.lock();
      if (core == nullptr || core->stopped_) return;
      core->lease_timer_ = 0;
      core->lease_timer_end_ = kForever;
      core->store_->EndLeases(core->reactor_.Now());
      core->ArmLeaseTimer();
    });
  }

  void Pump() {
    const bool more = watches_.Pump([this](uint64_t after) -> absl::StatusOr<ChangeBatch> {
      return store_->ChangesAfter(after, kWatchBatch);
    });
    if (more && !stopped_) Later(0, [](Core& core) { core.Pump(); });
  }

  uint64_t listener_ = 0;
  std::atomic<bool> notified_ = false;
  bool stopped_ = false;
  Reactor::TimerId lease_timer_ = 0;
  Nanos lease_timer_end_ = kForever;
  OpId next_id_ = 1;
  PendingOps pending_;
  WatchSet watches_;
};

MemoryCmdb::MemoryCmdb(std::shared_ptr<MemoryStore> store, Reactor& reactor)
    : core_(std::make_shared<Core>(std::move(store), reactor)) {
  core_->Start();
}

MemoryCmdb::~MemoryCmdb() { core_->Stop(); }

Cmdb::OpId MemoryCmdb::Get(std::string_view key, ReadMode, GetCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  core_->Submit(id, [core = core_.get(), key = std::string(key)]() -> absl::StatusOr<Record> {
    if (core->ReadFails()) return absl::UnavailableError("injected: the store cannot be reached");
    return core->Current()->Get(key);
  });
  return id;
}

Cmdb::OpId MemoryCmdb::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                            uint32_t limit, ListCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  core_->Submit(id,
                [core = core_.get(), prefix = std::string(prefix), after = std::string(after), at_revision,
                 limit]() -> absl::StatusOr<ListPage> {
                  if (core->ReadFails())
                    return absl::UnavailableError("injected: the store cannot be reached");
                  return core->Current()->List(prefix, after, at_revision, limit);
                });
  return id;
}

Cmdb::OpId MemoryCmdb::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                           TxnCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  const Nanos now = core_->reactor_.Now();
  if (deadline == 0) deadline = now + kDefaultTxnDeadline;
  if (deadline <= now) {
    core_->Submit(id, [] {
      TxnResult late;
      late.error = "the deadline passed before the transaction was sent";
      return late;
    });
    return id;
  }
  if (core_->faults_.delay > 0) core_->ExpireAt(id, deadline);
  core_->Submit(id, [core = core_.get(), compares = std::move(compares), mutations = std::move(mutations)] {
    return core->Apply(compares, mutations);
  });
  return id;
}

Cmdb::OpId MemoryCmdb::Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) {
  return core_->Watch(prefix, after_revision, std::move(callback));
}

Cmdb::OpId MemoryCmdb::GrantLease(Nanos ttl, LeaseCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  core_->Submit(id, [core = core_.get(), ttl] {
    return core->ChangeLease([ttl](MemoryStore& store, Nanos now) { return store.GrantLease(ttl, now); });
  });
  return id;
}

Cmdb::OpId MemoryCmdb::KeepLease(uint64_t lease, LeaseCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  core_->Submit(id, [core = core_.get(), lease] {
    return core->ChangeLease([lease](MemoryStore& store, Nanos now) { return store.KeepLease(lease, now); });
  });
  return id;
}

Cmdb::OpId MemoryCmdb::RevokeLease(uint64_t lease, LeaseCallback callback) {
  const OpId id = core_->NewOp(std::move(callback));
  core_->Submit(id, [core = core_.get(), lease] {
    return core->ChangeLease(
        [lease](MemoryStore& store, Nanos now) { return store.RevokeLease(lease, now); });
  });
  return id;
}

bool MemoryCmdb::Cancel(OpId id) { return core_->Cancel(id); }
MemoryCmdb::Faults& MemoryCmdb::faults() { return core_->faults_; }
void MemoryCmdb::Disconnect() { core_->SetConnected(false); }
void MemoryCmdb::Reconnect() { core_->SetConnected(true); }
MemoryStore& MemoryCmdb::store() { return *core_->store_; }

}  // namespace fastcontainer
