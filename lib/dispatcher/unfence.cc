#include "lib/dispatcher/unfence.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFirstDelay = 50 * kMillisecond;
constexpr Nanos kLongestDelay = 1 * kSecond;
constexpr Nanos kTxnDeadline = 2 * kSecond;

}  // namespace

Unfence::~Unfence() {
  for (const Cmdb::OpId op : ops_) context_.cmdb.Cancel(op);
  if (txn_ != 0) context_.cmdb.Cancel(txn_);
}

bool Unfence::Has(const Placement& placement, uint32_t replica, const std::string* host) {
  return std::any_of(placement.unfenced.begin(), placement.unfenced.end(), [&](const Unfenced& entry) {
    return entry.index == replica && (host == nullptr || entry.host == *host);
  });
}

Nanos Unfence::Remaining() const {
  if (since_ == 0) return 0;
  return std::max<Nanos>(since_ + context_.options.heartbeat - context_.reactor.Now(), kFirstDelay);
}

void Unfence::Done() {
  since_ = 0;
  delay_ = 0;
}

void Unfence::Step(Work work, std::function<void()> reread) {
  if (busy()) return;
  work_ = std::move(work);
  reread_ = std::move(reread);
  ended_.clear();
  if (work_.others && since_ == 0) since_ = context_.reactor.Now();
  std::set<std::string> hosts;
  for (const Unfenced& entry : work_.placement.unfenced) {
    if (entry.index != replica_) continue;
    if (entry.host != context_.options.host)
      hosts.insert(entry.host);
    else if (work_.own_is_gone)
      ended_.insert(entry.host);
  }
  if (!work_.others) hosts.clear();
  asking_ = hosts.size() + 1;  // one more, so that the last answer does not come in this loop
  for (const std::string& host : hosts) Ask(host);
  if (--asking_ == 0) Remove();
}

// That the heartbeat is absent, after the record was read, is what counts: its host has killed its copy
// before it went, whatever its incarnation, and starts none before it has a new one and has read the record
// again. A higher incarnation than the entry's says nothing of the copy that an earlier one started.
void Unfence::Ask(const std::string& host) {
  ops_.push_back(context_.cmdb.Get(
      RecordKey(RecordKind::kHeartbeat, host), ReadMode::kLinearizable,
      [this, host](const absl::StatusOr<Record>& heartbeat) { Answered(host, heartbeat); }));
}

void Unfence::Answered(const std::string& host, const absl::StatusOr<Record>& heartbeat) {
  if (heartbeat.ok() && heartbeat->revision == 0) ended_.insert(host);
  if (heartbeat.ok() && heartbeat->revision != 0) Nudge(host);
  if (--asking_ == 0) Remove();
}

void Unfence::Remove() {
  if (ended_.empty()) return Finish(false);
  Placement next = work_.placement;
  std::erase_if(next.unfenced, [this](const Unfenced& entry) {
    return entry.index == replica_ && ended_.count(entry.host) > 0;
  });
  const std::string key = RecordKey(RecordKind::kPlacement, container_);
  txn_ = context_.cmdb.Txn({{key, work_.revision}}, {{Mutation::Kind::kPut, key, EncodePlacement(next)}},
                           context_.reactor.Now() + kTxnDeadline, [this](const TxnResult& result) {
                             txn_ = 0;
                             const bool done = result.outcome == TxnOutcome::kOk;
                             if (done) ++context_.stats.unfenced;
                             // Whatever else came of it, only a reading tells. One conflict is another host's
                             // entry that went; a row of them is a reading that the store contradicts.
                             const bool again = result.outcome == TxnOutcome::kConflict && !conflict_;
                             conflict_ = result.outcome == TxnOutcome::kConflict;
                             Finish(done || again);
                           });
}

// The host is alive and may not know that it has lost something: any question about the container makes it
// read the record, and remove its entry.
void Unfence::Nudge(const std::string& host) {
  ops_.push_back(context_.cmdb.Get(
      RecordKey(RecordKind::kHost, host), ReadMode::kStaleOk, [this](const absl::StatusOr<Record>& record) {
        if (!record.ok() || record->revision == 0) return;
        const absl::StatusOr<Host> found = DecodeHost(record->value);
        if (!found.ok()) return;
        const absl::StatusOr<Address> address = Address::Parse(found->address);
        const Replica* const replica = work_.placement.Find(replica_);
        if (!address.ok() || replica == nullptr) return;
        Message question;
        question.type = MessageType::kAcquire;
        question.request_id = context_.random() | 1;
        question.container = container_;
        question.replica = replica_;
        question.epoch = replica->epoch;
        context_.channel->Send(address->WithPort(found->dispatcher_port), question);
      }));
}

void Unfence::Finish(bool progress) {
  delay_ = progress ? 0 : std::clamp(delay_ * 2, kFirstDelay, kLongestDelay);
  retry_.Set(context_.reactor.Now() + (progress ? 0 : context_.Jitter(delay_)), [this] {
    for (const Cmdb::OpId op : ops_) context_.cmdb.Cancel(op);
    ops_.clear();
    const std::function<void()> reread = std::move(reread_);
    reread_ = nullptr;
    reread();
  });
}

}  // namespace fastcontainer
