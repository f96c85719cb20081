#include "absl/status/status.h"
#include "lib/cmdb/etcd/messages.h"
#include "lib/cmdb/etcd/wire.h"

namespace fastcontainer::etcd {
namespace {

absl::Status Malformed(const char* what) {
  return absl::DataLossError(std::string("etcd: malformed ") + what);
}

bool ReadHeader(std::string_view message, ResponseHeader* header) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsVarint(1)) header->cluster_id = reader.varint();
    if (reader.IsVarint(2)) header->member_id = reader.varint();
    if (reader.IsVarint(3)) header->revision = reader.varint();
    if (reader.IsVarint(4)) header->raft_term = reader.varint();
  }
  return reader.ok();
}

bool ReadKeyValue(std::string_view message, Record* record) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsBytes(1)) record->key = std::string(reader.bytes());
    if (reader.IsVarint(3)) record->revision = reader.varint();
    if (reader.IsBytes(5)) record->value = std::string(reader.bytes());
  }
  return reader.ok();
}

bool ReadRange(std::string_view message, RangeResponse* response) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsBytes(1) && !ReadHeader(reader.bytes(), &response->header)) return false;
    if (reader.IsBytes(2) && !ReadKeyValue(reader.bytes(), &response->records.emplace_back())) return false;
    if (reader.IsVarint(3)) response->more = reader.varint() != 0;
  }
  return reader.ok();
}

bool ReadResponseOp(std::string_view message, RangeResponse* response) {
  ProtoReader reader(message);
  while (reader.Next())
    if (reader.IsBytes(1) && !ReadRange(reader.bytes(), response)) return false;
  return reader.ok();
}

bool ReadEvent(std::string_view message, WatchEvent* event) {
  event->kind = WatchEvent::Kind::kPut;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsVarint(1) && reader.varint() == 1) event->kind = WatchEvent::Kind::kDelete;
    if (reader.IsBytes(2) && !ReadKeyValue(reader.bytes(), &event->record)) return false;
  }
  event->revision = event->record.revision;
  return reader.ok();
}

bool ReadWatch(std::string_view message, WatchResponse* response) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsBytes(1) && !ReadHeader(reader.bytes(), &response->header)) return false;
    if (reader.IsVarint(2)) response->watch_id = static_cast<int64_t>(reader.varint());
    if (reader.IsVarint(3)) response->created = reader.varint() != 0;
    if (reader.IsVarint(4)) response->canceled = reader.varint() != 0;
    if (reader.IsVarint(5)) response->compact_revision = reader.varint();
    if (reader.IsBytes(6)) response->cancel_reason = std::string(reader.bytes());
    if (reader.IsVarint(7)) response->fragment = reader.varint() != 0;
    if (reader.IsBytes(11) && !ReadEvent(reader.bytes(), &response->events.emplace_back())) return false;
  }
  return reader.ok();
}

// LeaseKeepAlive streams a LeaseKeepAliveResponse, whose fields have the numbers of LeaseGrantResponse.
bool ReadLease(std::string_view message, LeaseResponse* response) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.IsBytes(1) && !ReadHeader(reader.bytes(), &response->header)) return false;
    if (reader.IsVarint(2)) response->id = reader.varint();
    if (reader.IsVarint(3)) response->ttl_seconds = reader.varint();
    if (reader.IsBytes(4)) response->error = std::string(reader.bytes());
  }
  return reader.ok();
}

}  // namespace

absl::StatusOr<RangeResponse> DecodeRange(std::string_view message) {
  RangeResponse response;
  if (!ReadRange(message, &response)) return Malformed("RangeResponse");
  return response;
}

absl::StatusOr<TxnResponse> DecodeTxn(std::string_view message) {
  TxnResponse response;
  ProtoReader reader(message);
  bool ok = true;
  while (ok && reader.Next()) {
    if (reader.IsBytes(1)) ok = ReadHeader(reader.bytes(), &response.header);
    if (reader.IsVarint(2)) response.succeeded = reader.varint() != 0;
    if (reader.IsBytes(3)) ok = ReadResponseOp(reader.bytes(), &response.ranges.emplace_back());
  }
  if (!ok || !reader.ok()) return Malformed("TxnResponse");
  return response;
}

absl::StatusOr<WatchResponse> DecodeWatch(std::string_view message) {
  WatchResponse response;
  if (!ReadWatch(message, &response)) return Malformed("WatchResponse");
  return response;
}

absl::StatusOr<LeaseResponse> DecodeLease(std::string_view message) {
  LeaseResponse response;
  if (!ReadLease(message, &response)) return Malformed("lease response");
  return response;
}

absl::StatusOr<std::string> DecodeAuthenticate(std::string_view message) {
  std::string token;
  ProtoReader reader(message);
  while (reader.Next())
    if (reader.IsBytes(2)) token = std::string(reader.bytes());
  if (!reader.ok() || token.empty()) return Malformed("AuthenticateResponse");
  return token;
}

}  // namespace fastcontainer::etcd
