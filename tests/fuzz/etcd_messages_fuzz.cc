// What an etcd server answers.
#include <string_view>

#include "lib/cmdb/etcd/messages.h"
#include "tests/fuzz/check.h"

namespace fastcontainer::etcd {
namespace {

size_t Size(const std::vector<Record>& records) {
  size_t size = 0;
  for (const Record& record : records) size += record.key.size() + record.value.size();
  return size;
}

void CheckMessage(std::string_view message) {
  if (const auto range = DecodeRange(message); range.ok())
    Check(Size(range->records) <= message.size(), "a range has no more bytes than its message");
  if (const auto txn = DecodeTxn(message); txn.ok()) {
    size_t size = 0;
    for (const RangeResponse& range : txn->ranges) size += Size(range.records);
    Check(size <= message.size(), "a transaction has no more bytes than its message");
  }
  if (const auto watch = DecodeWatch(message); watch.ok()) {
    for (const WatchEvent& event : watch->events) {
      Check(event.kind == WatchEvent::Kind::kPut || event.kind == WatchEvent::Kind::kDelete,
            "an event is a change");
      Check(event.revision == event.record.revision, "an event has its record's revision");
    }
  }
  (void)DecodeLease(message);
  if (const auto token = DecodeAuthenticate(message); token.ok())
    Check(!token->empty() && token->size() <= message.size(), "a token is a part of its message");
}

}  // namespace
}  // namespace fastcontainer::etcd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fastcontainer::etcd::CheckMessage({reinterpret_cast<const char*>(data), size});
  return 0;
}
