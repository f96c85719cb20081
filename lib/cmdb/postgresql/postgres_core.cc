#include "lib/cmdb/postgresql/postgres_core.h"

#include <algorithm>
#include <optional>

#include "lib/cmdb/postgresql/answers.h"
#include "lib/cmdb/postgresql/schema.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {

using postgresql::Answer;
using postgresql::Connection;
using postgresql::Parameters;

namespace {

constexpr uint32_t kDefaultPage = 1'000;
constexpr uint32_t kLargestPage = 10'000;
constexpr uint64_t kWatchBatch = 1'000;
constexpr Nanos kPollInterval = 3 * kSecond;  // in case a notification was lost

}  // namespace

void PostgresCmdb::Core::Start() {
  Connection::Observer reading;
  reading.ready = Guarded([](Core& core) { core.OnReaderReady(); });
  reading.lost = Guarded([](Core& core) { core.OnReaderLost(); });
  reading.notified = Guarded([](Core& core, std::string_view payload) { core.OnNotification(payload); });
  reader_ = std::make_shared<Connection>(options_, Connection::Role::kReader, reactor_, std::move(reading));
  Connection::Observer writing;
  writing.ready = Guarded([](Core& core) { core.OnWriterReady(); });
  writing.lost = [] {};
  writing.notified = [](std::string_view) {};
  writer_ = std::make_shared<Connection>(options_, Connection::Role::kWriter, reactor_, std::move(writing));
  reader_->Start();
  writer_->Start();
  poll_timer_ = reactor_.After(kPollInterval, Guarded([](Core& core) { core.Poll(); }));
}

void PostgresCmdb::Core::Stop() {
  stopped_ = true;
  reader_->Stop();
  writer_->Stop();
  for (const auto& [id, transaction] : transactions_) reactor_.CancelTimer(transaction.timer);
  transactions_.clear();
  reactor_.CancelTimer(poll_timer_);
  reactor_.CancelTimer(lease_timer_);
  pending_.Clear();
  watches_.Clear();
}

Cmdb::OpId PostgresCmdb::Core::Get(std::string_view key, ReadMode mode, GetCallback callback) {
  const OpId id = NewOp(std::move(callback));
  const bool behind = mode == ReadMode::kLinearizable && !unsettled_.empty();
  (behind ? writer_ : reader_)
      ->Send(postgresql::kGet, Parameters().Bytes(key),
             Guarded([id, key = std::string(key)](Core& core, const Answer& answer) {
               core.pending_.Complete(id, postgresql::RecordOf(key, answer));
             }));
  return id;
}

Cmdb::OpId PostgresCmdb::Core::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                                    uint32_t limit, ListCallback callback) {
  const OpId id = NewOp(std::move(callback));
  limit = limit == 0 ? kDefaultPage : std::min(limit, kLargestPage);
  // The first key after `after`.
  const bool first = after.empty() || after < prefix;
  const std::string from = first ? std::string(prefix) : std::string(after) + '\0';
  Parameters parameters;
  parameters.Bytes(from).Bytes(postgresql::EndOf(prefix)).Number(uint64_t{limit} + 1);
  if (at_revision != 0) parameters.Number(at_revision);
  reader_->Send(at_revision == 0 ? postgresql::kList : postgresql::kListAt, std::move(parameters),
                Guarded([id, at_revision, limit](Core& core, const Answer& answer) {
                  core.pending_.Complete(id, postgresql::PageOf(at_revision, limit, answer));
                }));
  return id;
}

Cmdb::OpId PostgresCmdb::Core::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations,
                                   Nanos deadline, TxnCallback callback) {
  const OpId id = NewOp(std::move(callback));
  const Nanos now = reactor_.Now();
  if (deadline == 0) deadline = now + kDefaultTxnDeadline;
  TxnResult refused;
  refused.error = std::string(CheckTxn(compares, mutations).message());
  if (deadline <= now) refused.error = "the deadline passed before the transaction was sent";
  if (!refused.error.empty()) {
    CompleteLater(id, std::move(refused));
    return id;
  }
  Transaction& transaction = transactions_[id];
  transaction.compares = std::move(compares);
  transaction.mutations = std::move(mutations);
  transaction.deadline = deadline;
  transaction.timer = reactor_.At(deadline, Guarded([id](Core& core) { core.Expire(id); }));
  SendTxn(id);
  return id;
}

void PostgresCmdb::Core::SendTxn(OpId id) {
  Transaction& transaction = transactions_.find(id)->second;
  std::vector<std::optional<std::string_view>> compared, changed, values;
  std::vector<uint64_t> revisions, leases;
  for (const Compare& compare : transaction.compares) {
    compared.emplace_back(compare.key);
    revisions.push_back(compare.revision);
  }
  for (const Mutation& mutation : transaction.mutations) {
    const bool deletes = mutation.kind == Mutation::Kind::kDelete;
    changed.emplace_back(mutation.key);
    values.push_back(deletes ? std::nullopt : std::optional<std::string_view>(mutation.value));
    leases.push_back(deletes ? 0 : mutation.lease);
  }
  Parameters parameters;
  parameters.BytesArray(compared).NumberArray(revisions);
  parameters.BytesArray(changed).BytesArray(values).NumberArray(leases);
  transaction.request =
      writer_->Send(postgresql::kApply, std::move(parameters),
                    Guarded([id](Core& core, const Answer& answer) { core.OnTxnAnswer(id, answer); }));
}

void PostgresCmdb::Core::OnTxnAnswer(OpId id, const Answer& answer) {
  const auto transaction = transactions_.find(id);
  if (transaction == transactions_.end()) {
    // Told as kUnknown long ago. A connection that was lost settles it when the next one is ready.
    if (answer.kind != Answer::Kind::kLost) unsettled_.erase(id);
    return;
  }
  if (postgresql::MayBeRetried(answer) && reactor_.Now() < transaction->second.deadline) return SendTxn(id);
  if (answer.kind == Answer::Kind::kLost) unsettled_.insert(id);
  EndTxn(id, postgresql::TxnResultOf(transaction->second.compares, transaction->second.mutations, answer));
}

void PostgresCmdb::Core::Expire(OpId id) {
  const auto transaction = transactions_.find(id);
  if (transaction == transactions_.end()) return;
  TxnResult result;
  if (writer_->Withdraw(transaction->second.request)) {
    result.error = "postgresql: the deadline passed before there was a connection";
  } else {
    result.outcome = TxnOutcome::kUnknown;
    result.error = "postgresql: the deadline passed before the server answered";
    unsettled_.insert(id);
  }
  EndTxn(id, std::move(result));
}

void PostgresCmdb::Core::EndTxn(OpId id, TxnResult result) {
  const auto transaction = transactions_.find(id);
  reactor_.CancelTimer(transaction->second.timer);
  transactions_.erase(transaction);
  pending_.Complete(id, std::move(result));
}

Cmdb::OpId PostgresCmdb::Core::Watch(std::string_view prefix, uint64_t after_revision,
                                     WatchCallback callback) {
  const OpId id = next_id_++;
  watches_.Add(id, prefix, after_revision, std::move(callback));
  reactor_.Defer(Guarded([](Core& core) { core.Pump(); }));
  return id;
}

bool PostgresCmdb::Core::Cancel(OpId id) { return pending_.Forget(id) || watches_.Cancel(id); }

void PostgresCmdb::Core::OnReaderReady() {
  CheckLeases();
  watches_.Connect();
  if (!stopped_) Pump();
}

void PostgresCmdb::Core::OnReaderLost() {
  reading_changes_ = false;
  checking_leases_ = false;
  watches_.Disconnect();
}

void PostgresCmdb::Core::OnNotification(std::string_view payload) {
  if (payload.empty()) return;
  if (payload[0] == postgresql::kLeasesChanged) return CheckLeases();
  if (payload[0] == postgresql::kKeysChanged && watches_.Wants(postgresql::Unescaped(payload.substr(1))))
    Pump();
}

// One reading of the log at a time, for all watches.
void PostgresCmdb::Core::Pump() {
  changed_meanwhile_ = reading_changes_;
  if (reading_changes_ || !reader_->ready()) return;
  std::optional<uint64_t> after;
  watches_.Pump([&](uint64_t lowest) -> absl::StatusOr<ChangeBatch> {
    after = lowest;
    return absl::AbortedError("to be read");
  });
  if (!after.has_value() || stopped_ || !reader_->ready()) return;
  reading_changes_ = true;
  reader_->Send(
      postgresql::kChanges, Parameters().Number(*after).Number(kWatchBatch),
      Guarded([after = *after](Core& core, const Answer& answer) { core.OnChanges(after, answer); }));
}

void PostgresCmdb::Core::OnChanges(uint64_t after, const Answer& answer) {
  reading_changes_ = false;
  absl::StatusOr<ChangeBatch> batch = postgresql::ChangesOf(kWatchBatch, answer);
  // Read again by the next poll, or when there is a connection.
  if (!batch.ok()) return;
  const bool more = watches_.Pump([&](uint64_t lowest) -> absl::StatusOr<ChangeBatch> {
    if (lowest < after) return absl::AbortedError("another watch began meanwhile");
    return *std::move(batch);
  });
  if (!stopped_ && (more || changed_meanwhile_)) Pump();
}

void PostgresCmdb::Core::Poll() {
  poll_timer_ = reactor_.After(kPollInterval, Guarded([](Core& core) { core.Poll(); }));
  CheckLeases();
  Pump();
}

}  // namespace fastcontainer
