#include "lib/dispatcher/host_record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFirstDelay = 100 * kMillisecond;
constexpr Nanos kLongestDelay = 5 * kSecond;
constexpr int kConflictsAtOnce = 3;

}  // namespace

HostRecord::~HostRecord() {
  if (op_ != 0) context_.cmdb.Cancel(op_);
}

void HostRecord::Write(absl::AnyInvocable<void(const absl::Status&)> unavailable, DoneCallback done) {
  unavailable_ = std::move(unavailable);
  done_ = std::move(done);
  if (op_ != 0) context_.cmdb.Cancel(std::exchange(op_, 0));
  retry_.Cancel();
  Read();
}

void HostRecord::Read() {
  op_ = context_.cmdb.Get(RecordKey(RecordKind::kHost, context_.options.host), ReadMode::kLinearizable,
                          [this](absl::StatusOr<Record> record) {
                            op_ = 0;
                            if (!record.ok()) return Again(record.status());
                            Swap(*record);
                          });
}

void HostRecord::Swap(const Record& current) {
  const DispatcherOptions& options = context_.options;
  Host host;
  if (current.revision != 0) {
    absl::StatusOr<Host> decoded = DecodeHost(current.value);
    if (!decoded.ok()) return done_(decoded.status());
    host = *std::move(decoded);
  }
  if (options.address) host.address = options.address.WithPort(0).ToString();
  if (host.address.empty())
    return done_(absl::FailedPreconditionError(
        absl::StrCat("host ", options.host, ": neither the options nor its record have an address")));
  host.incarnation = written_ = std::max(host.incarnation, written_) + 1;
  host.dispatcher_port = options.dispatcher_port;
  if (options.cpu > 0) host.cpu = options.cpu;
  if (options.memory > 0) host.memory = options.memory;
  if (!options.labels.empty()) host.labels = options.labels;
  const std::string key = RecordKey(RecordKind::kHost, options.host);
  op_ = context_.cmdb.Txn(
      {{key, current.revision}}, {{Mutation::Kind::kPut, key, EncodeHost(host)}}, 0,
      [this, host](TxnResult result) {
        op_ = 0;
        if (result.outcome == TxnOutcome::kOk) return done_(host);
        // After kUnknown the number may have been raised already: raising it again is
        // harmless, taking another dispatcher's for one's own is not.
        if (result.outcome == TxnOutcome::kConflict && ++conflicts_ <= kConflictsAtOnce) return Read();
        Again(absl::UnavailableError(result.outcome == TxnOutcome::kConflict ? "conflicts" : result.error));
      });
}

void HostRecord::Again(const absl::Status& why) {
  delay_ = delay_ == 0 ? kFirstDelay : std::min(delay_ * 2, kLongestDelay);
  retry_.Set(context_.reactor.Now() + context_.Jitter(delay_), [this] { Read(); });
  if (unavailable_) std::exchange(unavailable_, nullptr)(why);
}

}  // namespace fastcontainer
