#include "lib/cmdb/postgresql/postgres.h"

#include <utility>

#include "lib/cmdb/postgresql/postgres_core.h"

namespace fastcontainer {

absl::StatusOr<std::unique_ptr<Cmdb>> PostgresCmdb::Open(std::string_view url, Reactor& reactor) {
  absl::StatusOr<postgresql::Options> options = postgresql::ParseUrl(url);
  if (!options.ok()) return options.status();
  auto core = std::make_shared<Core>(*std::move(options), reactor);
  core->Start();
  return std::unique_ptr<Cmdb>(new PostgresCmdb(std::move(core)));
}

PostgresCmdb::~PostgresCmdb() { core_->Stop(); }

Cmdb::OpId PostgresCmdb::Get(std::string_view key, ReadMode mode, GetCallback callback) {
  return core_->Get(key, mode, std::move(callback));
}

Cmdb::OpId PostgresCmdb::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                              uint32_t limit, ListCallback callback) {
  return core_->List(prefix, after, at_revision, limit, std::move(callback));
}

Cmdb::OpId PostgresCmdb::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                             TxnCallback callback) {
  return core_->Txn(std::move(compares), std::move(mutations), deadline, std::move(callback));
}

Cmdb::OpId PostgresCmdb::Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) {
  return core_->Watch(prefix, after_revision, std::move(callback));
}

Cmdb::OpId PostgresCmdb::GrantLease(Nanos ttl, LeaseCallback callback) {
  return core_->GrantLease(ttl, std::move(callback));
}

Cmdb::OpId PostgresCmdb::KeepLease(uint64_t lease, LeaseCallback callback) {
  return core_->KeepLease(lease, std::move(callback));
}

Cmdb::OpId PostgresCmdb::RevokeLease(uint64_t lease, LeaseCallback callback) {
  return core_->RevokeLease(lease, std::move(callback));
}

bool PostgresCmdb::Cancel(OpId id) { return core_->Cancel(id); }

}  // namespace fastcontainer
