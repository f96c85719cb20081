// A driver whose store holds, under every key, the URL by which it was opened.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "fastcontainer/cmdb_plugin.h"
#include "lib/cmdb/pending_ops.h"

namespace fastcontainer {
namespace {

class EchoCmdb final : public Cmdb {
 public:
  EchoCmdb(std::string_view url, Reactor& reactor) : url_(url), reactor_(reactor) {}

  OpId Get(std::string_view key, ReadMode, GetCallback callback) override {
    return Answer(std::move(callback), absl::StatusOr<Record>(Record{std::string(key), url_, 1}));
  }
  OpId List(std::string_view, std::string_view, uint64_t, uint32_t, ListCallback callback) override {
    return Answer(std::move(callback), absl::StatusOr<ListPage>(ListPage()));
  }
  OpId Txn(std::vector<Compare>, std::vector<Mutation>, Nanos, TxnCallback callback) override {
    return Answer(std::move(callback), TxnResult());
  }
  OpId Watch(std::string_view, uint64_t, WatchCallback) override { return next_++; }
  OpId GrantLease(Nanos, LeaseCallback callback) override { return NoLeases(std::move(callback)); }
  OpId KeepLease(uint64_t, LeaseCallback callback) override { return NoLeases(std::move(callback)); }
  OpId RevokeLease(uint64_t, LeaseCallback callback) override { return NoLeases(std::move(callback)); }
  bool Cancel(OpId id) override { return pending_->Forget(id); }

 private:
  template <typename Callback, typename Result>
  OpId Answer(Callback callback, Result result) {
    const OpId id = next_++;
    pending_->Add(id, std::move(callback));
    reactor_.Defer([pending = std::weak_ptr<PendingOps>(pending_), id, result = std::move(result)]() mutable {
      if (const auto alive = pending.lock()) alive->Complete(id, std::move(result));
    });
    return id;
  }
  OpId NoLeases(LeaseCallback callback) {
    return Answer(std::move(callback), absl::StatusOr<CmdbLease>(absl::UnimplementedError("no leases")));
  }

  const std::string url_;
  Reactor& reactor_;
  OpId next_ = 1;
  const std::shared_ptr<PendingOps> pending_ = std::make_shared<PendingOps>();
};

absl::StatusOr<std::unique_ptr<Cmdb>> Open(std::string_view url, Reactor& reactor) {
  if (url == "testing:refuse") return absl::UnavailableError("the plugin refuses");
  return std::make_unique<EchoCmdb>(url, reactor);
}

}  // namespace
}  // namespace fastcontainer

FASTCONTAINER_CMDB_PLUGIN(fastcontainer::Open)
