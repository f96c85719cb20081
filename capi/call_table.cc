#include "capi/call_table.h"

namespace fastcontainer::capi {
namespace {

constexpr size_t kGrowth = 64;
constexpr uint32_t kMaxGeneration = 0x7fffffff;

}  // namespace

void CallTable::Grow() {
  free_.reserve(calls_.size() + kGrowth);  // so that Release() never allocates
  for (size_t i = 0; i < kGrowth; ++i) {
    Call& call = calls_.emplace_back();
    call.index = static_cast<uint32_t>(calls_.size() - 1);
    call.engine = engine_;
    free_.push_back(call.index);
  }
}

Call* CallTable::Take(CallKind kind, void* user_data) {
  if (free_.empty()) Grow();
  Call* const call = &calls_[free_.back()];
  free_.pop_back();
  call->kind = kind;
  call->inner = 0;
  call->user_data = user_data;
  call->dispatcher = nullptr;
  return call;
}

void CallTable::Release(Call* call) {
  call->kind = CallKind::kFree;
  call->generation = call->generation == kMaxGeneration ? 1 : call->generation + 1;
  free_.push_back(call->index);
}

Call* CallTable::Find(fc_op id) {
  const auto index = static_cast<uint32_t>(id & 0xffffffffu);
  if (index >= calls_.size()) return nullptr;
  Call* const call = &calls_[index];
  return call->kind != CallKind::kFree && call->id() == id ? call : nullptr;
}

}  // namespace fastcontainer::capi
