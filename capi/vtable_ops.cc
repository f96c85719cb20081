#include "capi/vtable_ops.h"

#include <utility>

#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

Answer CopyOf(const fc_result& result) {
  Answer answer;
  answer.code = result.code;
  answer.watch_kind = result.watch_kind;
  answer.revision = result.revision;
  answer.lease = result.lease;
  answer.lease_ttl = result.lease_ttl_ns;
  answer.next = Copy(result.next);
  answer.message = Copy(result.message);
  answer.records.reserve(result.record_count);
  for (uint32_t i = 0; i < result.record_count; ++i) {
    const fc_record& record = result.records[i];
    answer.records.push_back(Record{Copy(record.key), Copy(record.value), record.revision});
  }
  return answer;
}

}  // namespace

fc_op VtableOps::Add(bool repeats, Finish finish) {
  auto kept = std::make_shared<Finish>(std::move(finish));
  const std::lock_guard<std::mutex> lock(mutex_);
  const fc_op op = next_++;
  entries_.emplace(op, Entry{repeats, false, false, std::move(kept)});
  return op;
}

void VtableOps::Submit(fc_op op, absl::AnyInvocable<int32_t()> submit) {
  // Later, so that a vtable's function never runs inside fc_engine_create(), when its owner has no engine
  // yet.
  reactor_->Defer([this, op, submit = std::move(submit)]() mutable {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = entries_.find(op);
      if (found == entries_.end()) return;
      found->second.submitted = true;
    }
    const int32_t code = submit();
    if (code >= 0) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = entries_.find(op);
      if (found == entries_.end() || found->second.answered) return;
    }
    Answer answer;
    answer.code = code;
    Deliver(op, answer);
  });
}

VtableOps::Removed VtableOps::Remove(fc_op op) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(op);
  if (found == entries_.end()) return Removed::kGone;
  const Entry& entry = found->second;
  const Removed removed = entry.answered    ? Removed::kAnswered
                          : entry.submitted ? Removed::kAtVtable
                                            : Removed::kUnsubmitted;
  entries_.erase(found);
  return removed;
}

int32_t VtableOps::Complete(fc_op op, const fc_result* result) {
  fc_result known{};
  if (result == nullptr || ReadStruct(result, "fc_result", &known, nullptr) != FC_OK) return FC_E_INVALID;
  if (known.record_count > 0 && known.records == nullptr) return FC_E_INVALID;
  Answer answer = CopyOf(known);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(op);
    if (found == entries_.end() || found->second.answered) return FC_E_NOT_FOUND;
    if (!found->second.repeats || answer.code < 0) found->second.answered = true;
  }
  reactor_->Post([this, op, answer = std::move(answer)]() mutable { Deliver(op, answer); });
  return FC_OK;
}

void VtableOps::Deliver(fc_op op, Answer& answer) {
  std::shared_ptr<Finish> finish;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(op);
    if (found == entries_.end()) return;
    finish = found->second.finish;
    if (!found->second.repeats || answer.code < 0) entries_.erase(found);
  }
  // Without the lock: what it runs may submit, cancel and complete.
  (*finish)(answer);
}

}  // namespace fastcontainer::capi
