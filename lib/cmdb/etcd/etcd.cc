#include "lib/cmdb/etcd/etcd.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/etcd/client.h"
#include "lib/cmdb/etcd/messages.h"
#include "lib/cmdb/etcd/watches.h"
#include "lib/cmdb/pending_ops.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {
namespace {

using etcd::Client;
using etcd::LeaseResponse;

constexpr Nanos kCallTime = 5 * kSecond;  // of what has no deadline of its own
// Of a page, from when its turn has come: a member sends several one beside the other. One that is gone is
// noticed by its silence.
constexpr Nanos kListTime = 30 * kSecond;
constexpr size_t kMostLists = 16;  // at a time
constexpr uint32_t kDefaultPage = 10'000;
constexpr const char* kRangePath = "/etcdserverpb.KV/Range";

absl::Status Explain(const absl::Status& status) {
  const std::string text(status.message());
  return {status.code(), text.starts_with("etcd") ? text : absl::StrCat("etcd: ", text)};
}

// What a lease or a read can end with; the rest means that there was no answer.
absl::Status Narrow(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
      return Explain(status);
    default:
      return absl::UnavailableError(Explain(status).message());
  }
}

absl::StatusOr<Record> ReadRecord(std::string key, const Client::Result& result) {
  if (!result.message.ok()) return Narrow(result.message.status());
  absl::StatusOr<etcd::RangeResponse> range = etcd::DecodeRange(*result.message);
  if (!range.ok()) return range.status();
  if (range->records.empty()) return Record{std::move(key), "", 0};
  return std::move(range->records.front());
}

absl::StatusOr<ListPage> ReadPage(uint64_t at_revision, const Client::Result& result) {
  if (!result.message.ok()) return Narrow(result.message.status());
  absl::StatusOr<etcd::RangeResponse> range = etcd::DecodeRange(*result.message);
  if (!range.ok()) return range.status();
  ListPage page;
  page.revision = at_revision != 0 ? at_revision : range->header.revision;
  page.records = std::move(range->records);
  if (range->more && !page.records.empty()) page.next = page.records.back().key;
  return page;
}

TxnResult FailedTxn(const std::vector<Mutation>& mutations, const Client::Result& result) {
  TxnResult failed;
  failed.error = std::string(Explain(result.message.status()).message());
  failed.outcome = result.processed ? TxnOutcome::kUnknown : TxnOutcome::kUnavailable;
  // etcd says this of the branch that it would apply, so the compares hold.
  if (!absl::IsNotFound(result.message.status())) return failed;
  failed.outcome = TxnOutcome::kLeaseEnded;
  for (const Mutation& mutation : mutations) {
    if (mutation.lease == 0 || mutation.kind != Mutation::Kind::kPut) continue;
    failed.error = LeaseEndedText(mutation);
    break;
  }
  return failed;
}

TxnResult ReadTxn(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations,
                  const Client::Result& result) {
  if (!result.message.ok()) return FailedTxn(mutations, result);
  absl::StatusOr<etcd::TxnResponse> response = etcd::DecodeTxn(*result.message);
  TxnResult done;
  if (!response.ok() || (!response->succeeded && response->ranges.size() != compares.size())) {
    done.outcome = TxnOutcome::kUnknown;
    done.error = "etcd: malformed TxnResponse";
    return done;
  }
  done.outcome = response->succeeded ? TxnOutcome::kOk : TxnOutcome::kConflict;
  done.revision = response->header.revision;
  if (response->succeeded) return done;
  for (size_t i = 0; i < compares.size(); ++i) {
    std::vector<Record>& found = response->ranges[i].records;
    done.current.push_back(found.empty() ? Record{compares[i].key, "", 0} : std::move(found.front()));
  }
  return done;
}

// Which lease it was if it has ended.
absl::StatusOr<CmdbLease> ReadLease(uint64_t lease, bool revoked, const Client::Result& result) {
  if (absl::IsNotFound(result.message.status())) return LeaseNotFound(lease);
  if (!result.message.ok()) return Narrow(result.message.status());
  const absl::StatusOr<LeaseResponse> response = etcd::DecodeLease(*result.message);
  if (!response.ok()) return response.status();
  if (revoked) return CmdbLease{lease, 0};
  if (!response->error.empty()) return absl::UnavailableError(absl::StrCat("etcd: ", response->error));
  const auto ttl = static_cast<int64_t>(response->ttl_seconds);
  if (ttl <= 0) return LeaseNotFound(lease);
  return CmdbLease{response->id, std::min(ttl, kMaxLeaseTtl / kSecond) * kSecond};
}

std::string CheckLimits(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations) {
  if (const absl::Status malformed = CheckTxn(compares, mutations); !malformed.ok())
    return std::string(malformed.message());
  if (std::max(compares.size(), mutations.size()) <= etcd::kMaxTxnOps) return "";
  return absl::StrCat("not applied: ", compares.size(), " compares and ", mutations.size(),
                      " mutations; etcd takes at most ", etcd::kMaxTxnOps, " of each in a transaction");
}

}  // namespace

class EtcdCmdb::Core : public std::enable_shared_from_this<EtcdCmdb::Core> {
 public:
  Core(Reactor& reactor) : reactor_(reactor) {}

  void Begin(etcd::Options options, std::shared_ptr<etcd::TlsContext> tls) {
    const std::weak_ptr<Core> weak = weak_from_this();
    watches_ = std::make_shared<etcd::Watches>(
        reactor_, [this](std::string_view key, absl::AnyInvocable<void(uint64_t)> told) {
          AskRevision(key, std::move(told));
        });
    Client::Observer observer;
    observer.on_up = [weak] {
      if (const auto core = weak.lock()) core->watches_->OnUp();
    };
    observer.on_down = [weak] {
      if (const auto core = weak.lock()) core->watches_->OnDown();
    };
    client_ = Client::Create(reactor_, std::move(options), std::move(tls), std::move(observer));
    watches_->SetClient(client_);
  }

  void Stop() {
    client_->Stop();
    watches_->Stop();
    waiting_lists_.clear();
    pending_.Clear();
  }

  // `read` makes a result of what the store answered.
  template <typename Callback, typename Read>
  OpId Submit(Client::Call call, Callback callback, Read read) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    if (call.deadline == 0) call.deadline = reactor_.Now() + kCallTime;
    call.done = [weak = weak_from_this(), id, read = std::move(read)](Client::Result result) mutable {
      if (const auto core = weak.lock()) core->pending_.Complete(id, read(std::move(result)));
    };
    client_->Start(id, std::move(call));
    return id;
  }

  // Listings take turns. etcd answers all streams side by side, so that many large answers would be whole at
  // the same time, the last; in turns one is decoded while the next ones come.
  OpId SubmitList(Client::Call call, uint64_t at_revision, ListCallback callback) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    call.done = [weak = weak_from_this(), id, at_revision](Client::Result result) {
      const auto core = weak.lock();
      if (core == nullptr) return;
      core->EndList(id);
      core->pending_.Complete(id, ReadPage(at_revision, result));
    };
    waiting_lists_.emplace_back(id, std::move(call));
    StartLists();
    return id;
  }

  // Not worth a call.
  template <typename Callback, typename Result>
  OpId Refuse(Callback callback, Result result) {
    const OpId id = next_id_++;
    pending_.Add(id, std::move(callback));
    reactor_.Defer([weak = weak_from_this(), id, result = std::move(result)]() mutable {
      if (const auto core = weak.lock()) core->pending_.Complete(id, std::move(result));
    });
    return id;
  }

  OpId Watch(std::string_view prefix, uint64_t after, WatchCallback callback) {
    const OpId id = next_id_++;
    watches_->Add(id, prefix, after, std::move(callback));
    return id;
  }

  bool Cancel(OpId id) {
    client_->Cancel(id);
    EndList(id);
    return pending_.Forget(id) || watches_->Cancel(id);
  }

  OpId AskLease(std::string_view path, std::string message, uint64_t lease, bool revoke,
                LeaseCallback callback) {
    Client::Call call;
    call.path = path;
    call.message = std::move(message);
    call.repeatable = true;
    return Submit(std::move(call), std::move(callback),
                  [lease, revoke](const Client::Result& result) { return ReadLease(lease, revoke, result); });
  }

  Reactor& reactor_;

 private:
  void StartLists() {
    while (lists_.size() < kMostLists && !waiting_lists_.empty()) {
      auto [id, call] = std::move(waiting_lists_.front());
      waiting_lists_.pop_front();
      lists_.push_back(id);
      call.deadline = reactor_.Now() + kListTime;
      client_->Start(id, std::move(call));
    }
  }

  void EndList(OpId id) {
    if (std::erase(lists_, id) == 0) {
      std::erase_if(waiting_lists_, [id](const auto& waiting) { return waiting.first == id; });
      return;
    }
    StartLists();
  }

  void AskRevision(std::string_view key, absl::AnyInvocable<void(uint64_t)> told) {
    Client::Call call;
    call.path = kRangePath;
    etcd::RangeRequest request;
    request.key = key.empty() ? std::string_view("\0", 1) : key;
    call.message = etcd::EncodeRange(request);
    call.repeatable = true;
    call.deadline = reactor_.Now() + kCallTime;
    call.done = [told = std::move(told)](Client::Result result) mutable {
      const auto range = result.message.ok() ? etcd::DecodeRange(*result.message)
                                             : absl::StatusOr<etcd::RangeResponse>(result.message.status());
      told(range.ok() ? range->header.revision : 0);
    };
    client_->Start(next_id_++, std::move(call));
  }

  OpId next_id_ = 1;
  std::deque<std::pair<OpId, Client::Call>> waiting_lists_;
  std::vector<OpId> lists_;  // that are being answered
  PendingOps pending_;
  std::shared_ptr<etcd::Watches> watches_;
  std::shared_ptr<Client> client_;
};

absl::StatusOr<std::unique_ptr<Cmdb>> EtcdCmdb::Open(std::string_view url, Reactor& reactor) {
  absl::StatusOr<etcd::Options> options = etcd::ParseUrl(url);
  if (!options.ok()) return options.status();
  std::shared_ptr<etcd::TlsContext> tls;
  if (options->tls) {
    absl::StatusOr<std::shared_ptr<etcd::TlsContext>> created = etcd::TlsContext::Create(*options);
    if (!created.ok()) return created.status();
    tls = *std::move(created);
  }
  auto core = std::make_shared<Core>(reactor);
  core->Begin(*std::move(options), std::move(tls));
  return std::unique_ptr<Cmdb>(new EtcdCmdb(std::move(core)));
}

EtcdCmdb::~EtcdCmdb() { core_->Stop(); }

Cmdb::OpId EtcdCmdb::Get(std::string_view key, ReadMode mode, GetCallback callback) {
  Client::Call call;
  call.path = kRangePath;
  etcd::RangeRequest request;
  request.key = key;
  request.serializable = mode == ReadMode::kStaleOk;
  call.message = etcd::EncodeRange(request);
  call.repeatable = true;
  call.needs_leader = !request.serializable;
  return core_->Submit(std::move(call), std::move(callback),
                       [key = std::string(key)](const Client::Result& result) mutable {
                         return ReadRecord(std::move(key), result);
                       });
}

Cmdb::OpId EtcdCmdb::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                          uint32_t limit, ListCallback callback) {
  // The smallest key behind `after` is that one and a zero byte.
  const std::string behind =
      after.empty() ? std::string() : absl::StrCat(std::string(after), std::string(1, '\0'));
  std::string first = std::max(std::string(prefix), behind);
  if (first.empty()) first.assign(1, '\0');
  const std::string end = etcd::PrefixEnd(prefix);
  Client::Call call;
  call.path = kRangePath;
  etcd::RangeRequest request;
  request.key = first;
  request.range_end = end;
  request.limit = limit == 0 ? kDefaultPage : limit;
  request.revision = at_revision;
  call.message = etcd::EncodeRange(request);
  call.repeatable = true;
  return core_->SubmitList(std::move(call), at_revision, std::move(callback));
}

Cmdb::OpId EtcdCmdb::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                         TxnCallback callback) {
  const Nanos now = core_->reactor_.Now();
  if (deadline == 0) deadline = now + kDefaultTxnDeadline;
  TxnResult refused;
  refused.error = deadline <= now ? "the deadline passed before the transaction was sent"
                                  : CheckLimits(compares, mutations);
  if (!refused.error.empty()) return core_->Refuse(std::move(callback), std::move(refused));
  Client::Call call;
  call.path = "/etcdserverpb.KV/Txn";
  call.message = etcd::EncodeTxn(compares, mutations);
  call.deadline = deadline;
  return core_->Submit(std::move(call), std::move(callback),
                       [compares = std::move(compares), mutations = std::move(mutations)](
                           const Client::Result& result) { return ReadTxn(compares, mutations, result); });
}

Cmdb::OpId EtcdCmdb::Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) {
  return core_->Watch(prefix, after_revision, std::move(callback));
}

Cmdb::OpId EtcdCmdb::GrantLease(Nanos ttl, LeaseCallback callback) {
  if (const absl::Status refused = CheckLeaseTtl(ttl); !refused.ok())
    return core_->Refuse(std::move(callback), absl::StatusOr<CmdbLease>(refused));
  const auto seconds = static_cast<uint64_t>((ttl + kSecond - 1) / kSecond);
  return core_->AskLease("/etcdserverpb.Lease/LeaseGrant", etcd::EncodeLeaseGrant(seconds), 0, false,
                         std::move(callback));
}

// A stream, of one question and one answer here.
Cmdb::OpId EtcdCmdb::KeepLease(uint64_t lease, LeaseCallback callback) {
  return core_->AskLease("/etcdserverpb.Lease/LeaseKeepAlive", etcd::EncodeLeaseKeepAlive(lease), lease,
                         false, std::move(callback));
}

Cmdb::OpId EtcdCmdb::RevokeLease(uint64_t lease, LeaseCallback callback) {
  return core_->AskLease("/etcdserverpb.Lease/LeaseRevoke", etcd::EncodeLeaseRevoke(lease), lease, true,
                         std::move(callback));
}

bool EtcdCmdb::Cancel(OpId id) { return core_->Cancel(id); }

}  // namespace fastcontainer
