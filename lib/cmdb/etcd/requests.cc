#include "lib/cmdb/etcd/messages.h"
#include "lib/cmdb/etcd/wire.h"

namespace fastcontainer::etcd {
namespace {

constexpr uint64_t kCompareMod = 2;  // Compare.CompareTarget.MOD; the result EQUAL is 0

std::string EncodePut(const Mutation& put) {
  return ProtoWriter().Bytes(1, put.key).Bytes(2, put.value).Varint(3, put.lease).Take();
}

}  // namespace

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // etcd's "to the end"
  end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

std::string EncodeRange(const RangeRequest& request) {
  return ProtoWriter()
      .Bytes(1, request.key)
      .Bytes(2, request.range_end)
      .Varint(3, request.limit)
      .Varint(4, request.revision)
      .Varint(7, request.serializable ? 1 : 0)
      .Take();
}

std::string EncodeTxn(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations) {
  ProtoWriter txn;
  for (const Compare& compare : compares) {
    txn.Message(
        1,
        ProtoWriter().Varint(2, kCompareMod).Bytes(3, compare.key).PresentVarint(6, compare.revision).Take());
  }
  for (const Mutation& mutation : mutations) {
    if (mutation.kind == Mutation::Kind::kDelete)
      txn.Message(2, ProtoWriter().Message(3, ProtoWriter().Bytes(1, mutation.key).view()).view());
    else
      txn.Message(2, ProtoWriter().Message(2, EncodePut(mutation)).view());
  }
  for (const Compare& compare : compares)
    txn.Message(3, ProtoWriter().Message(1, ProtoWriter().Bytes(1, compare.key).view()).view());
  return txn.Take();
}

std::string EncodeWatchCreate(const WatchCreate& create) {
  const std::string first = create.prefix.empty() ? std::string(1, '\0') : std::string(create.prefix);
  ProtoWriter body;
  body.Bytes(1, first)
      .Bytes(2, PrefixEnd(create.prefix))
      .Varint(3, create.start_revision)
      .Varint(4, 1)  // progress_notify
      .Varint(7, create.watch_id)
      .Varint(8, 1);  // fragment
  return ProtoWriter().Message(1, body.view()).Take();
}

std::string EncodeWatchCancel(uint64_t watch_id) {
  return ProtoWriter().Message(2, ProtoWriter().Varint(1, watch_id).view()).Take();
}

std::string EncodeLeaseGrant(uint64_t ttl_seconds) { return ProtoWriter().Varint(1, ttl_seconds).Take(); }
std::string EncodeLeaseKeepAlive(uint64_t id) { return ProtoWriter().Varint(1, id).Take(); }
std::string EncodeLeaseRevoke(uint64_t id) { return ProtoWriter().Varint(1, id).Take(); }

std::string EncodeAuthenticate(std::string_view name, std::string_view password) {
  return ProtoWriter().Bytes(1, name).Bytes(2, password).Take();
}

}  // namespace fastcontainer::etcd
