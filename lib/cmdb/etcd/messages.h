// The few messages of etcd's gRPC interface that the driver uses, between structures and bytes. Field numbers
// are those of etcd's rpc.proto and kv.proto (API version 3.4). Fields that are not known are skipped.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_MESSAGES_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_MESSAGES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer::etcd {

// etcd's limit of compares, and of operations in either branch of a transaction (--max-txn-ops).
inline constexpr size_t kMaxTxnOps = 128;

// The end of the range of all keys that start with `prefix`.
std::string PrefixEnd(std::string_view prefix);

struct RangeRequest {
  std::string_view key;
  std::string_view range_end;  // empty: the one key
  uint64_t limit = 0;
  uint64_t revision = 0;
  bool serializable = false;
};

struct WatchCreate {
  uint64_t watch_id = 0;
  std::string_view prefix;
  uint64_t start_revision = 0;
};

std::string EncodeRange(const RangeRequest& request);
// A conflict reads every compared key.
std::string EncodeTxn(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations);
// Asks for fragments and for progress notices from time to time.
std::string EncodeWatchCreate(const WatchCreate& create);
std::string EncodeWatchCancel(uint64_t watch_id);
std::string EncodeLeaseGrant(uint64_t ttl_seconds);
std::string EncodeLeaseKeepAlive(uint64_t id);
std::string EncodeLeaseRevoke(uint64_t id);
std::string EncodeAuthenticate(std::string_view name, std::string_view password);

struct ResponseHeader {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  uint64_t revision = 0;
  uint64_t raft_term = 0;
};

struct RangeResponse {
  ResponseHeader header;
  std::vector<Record> records;
  bool more = false;
};

struct TxnResponse {
  ResponseHeader header;
  bool succeeded = false;
  std::vector<RangeResponse> ranges;  // of each operation; empty for those that read nothing
};

struct WatchResponse {
  ResponseHeader header;
  int64_t watch_id = 0;
  bool created = false;
  bool canceled = false;
  bool fragment = false;  // more of the same revisions follows
  uint64_t compact_revision = 0;
  std::string cancel_reason;
  std::vector<WatchEvent> events;  // kPut and kDelete
};

struct LeaseResponse {
  ResponseHeader header;
  uint64_t id = 0;
  uint64_t ttl_seconds = 0;  // 0: there is no such lease
  std::string error;
};

// Errors: DataLoss.
absl::StatusOr<RangeResponse> DecodeRange(std::string_view message);
absl::StatusOr<TxnResponse> DecodeTxn(std::string_view message);
absl::StatusOr<WatchResponse> DecodeWatch(std::string_view message);
// Of LeaseGrant, LeaseKeepAlive and LeaseRevoke.
absl::StatusOr<LeaseResponse> DecodeLease(std::string_view message);
absl::StatusOr<std::string> DecodeAuthenticate(std::string_view message);  // the token

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_MESSAGES_H_
