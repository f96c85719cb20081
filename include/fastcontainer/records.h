// The records in the CMDB: their keys and their JSON encoding (docs/protocol.md).
#ifndef FASTCONTAINER_RECORDS_H_
#define FASTCONTAINER_RECORDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

inline constexpr size_t kMaxNameLength = 200;  // bytes, of any container, host, class or request key

// The top byte of XXH3-64 (seed 0) of `name`.
uint8_t ShardOf(std::string_view name);

enum class RecordKind : uint8_t { kKey, kClass, kSpec, kPlacement, kHost, kScores, kHeartbeat };
// "/fc/v1/p/3f/site-42"; names are percent-escaped, shards are two lower-case hex digits.
std::string RecordKey(RecordKind kind, std::string_view name);
// "/fc/v1/p/3f/" for sharded kinds (key, spec, placement); the others, as "/fc/v1/h/", ignore the shard.
std::string RecordPrefix(RecordKind kind, uint8_t shard = 0);
// The prefix of every record of a kind, over all shards: "/fc/v1/p/".
std::string RecordKindPrefix(RecordKind kind);
struct ParsedKey {
  RecordKind kind;
  std::string name;
};
absl::StatusOr<ParsedKey> ParseRecordKey(std::string_view key);
// The form in which a request key is looked up: ASCII lower case, no port, no final dot. InvalidArgument if
// empty, too long, with several final dots, or with a byte outside of printable ASCII.
absl::StatusOr<std::string> NormalizeKey(std::string_view host_name);

// Prepends the record that a decoder's error is about: `spec "site-42": field "port": ...`.
absl::Status InRecord(RecordKind kind, std::string_view name, const absl::Status& status);

inline constexpr uint32_t kMaxConcurrency = 1'000'000;  // also what "concurrency":0 (unlimited) decodes to

struct Key {
  std::string container;
};

struct Limits {
  double cpu = 0;       // cores; 0: unlimited
  uint64_t memory = 0;  // bytes; 0: unlimited
};

// How many copies of a container may write at once, over all hosts.
enum class Writers : uint8_t {
  kMulti,   // a new copy serves at once, also while an old one may still run
  kSingle,  // a copy runs only when every other one is known to have ended (docs/protocol.md, "Fence")
};

struct Spec {
  std::string class_name;            // "" : none
  std::vector<std::string> command;  // argv; $ADDRESS, $PORT and $EPOCH are substituted
  std::map<std::string, std::string> environment;
  std::string directory;      // working directory; "": the dispatcher's
  uint16_t port = 0;          // 0: the dispatcher chooses
  uint32_t concurrency = 16;  // requests in flight over all routers; never 0
  Limits limits;
  Nanos probe_deadline = 10 * kMillisecond;
  Nanos probe_deadline_max = 0;  // what slow answers may raise it to; 0: it is fixed
  std::vector<Nanos> probe_hedge = {3 * kMillisecond};
  std::string ready_http;  // path for a readiness GET; "": TCP connect
  Nanos ready_timeout = 90 * kSecond;
  Nanos idle = 300 * kSecond;       // stop after so long without a ticket; 0: never
  Nanos life = 0;                   // stop so long after it became ready, tickets or not; 0: never
  Nanos stop_grace = 10 * kSecond;  // from the graceful signal to the kill
  uint32_t scale_min = 0;
  uint32_t scale_max = 1;
  Writers writers = Writers::kMulti;
  std::string
      json;  // the record with its class's defaults merged in: a runtime of one's own may know more fields
};

struct Replica {
  uint32_t index = 0;
  uint64_t epoch = 0;
  std::string host;
  std::string op;         // names the write that made this epoch
  std::string unknown{};  // as in Placement
};

struct Unfenced {
  uint32_t index = 0;
  uint64_t epoch = 0;
  std::string host;
  uint64_t incarnation = 0;
  std::string unknown{};  // as in Placement
};

struct Placement {
  std::vector<Replica> replicas;
  std::vector<Unfenced> unfenced;
  std::string spec_revision;
  std::string by;
  std::string reason;
  int64_t at_ms = 0;
  bool deleted = false;  // a tombstone: "state":"deleted"
  std::string unknown;   // the record's other fields, kept over a rewrite (a JSON object, or "")

  const Replica* Find(uint32_t index) const;
};

enum class AdminState : uint8_t { kUp, kDrain, kDown };

struct Host {
  uint64_t incarnation = 0;
  std::string address;  // numeric
  uint16_t dispatcher_port = 0;
  double cpu = 0;       // cores
  uint64_t memory = 0;  // bytes
  std::map<std::string, std::string> labels;
  AdminState admin = AdminState::kUp;
  std::string unknown;
};

// The name of the score table for all containers whose class has none of its own; no class is called so.
inline constexpr std::string_view kAllClasses = "*";

struct HostScore {
  std::string host;
  double score = 0;  // the higher the better; -infinity: not this host
};

// How good each host is for the containers of one class, as a policy elsewhere has found.
struct Scores {
  std::string by;
  int64_t at_ms = 0;
  Nanos valid = 30 * kSecond;  // from when a router has received it
  std::vector<HostScore> hosts;
};

// Decoders. InvalidArgument names the field and what is accepted; duplicate keys, wrong types, and a "v" that
// is not 1 are errors; unknown fields are kept where the record is rewritten by the library and ignored
// elsewhere. What later versions add and this one must not misread is Unimplemented: "scale":{"max":>1}.
absl::StatusOr<Key> DecodeKey(std::string_view json);
absl::Status CheckClass(std::string_view json);
// `class_json` gives the defaults, "" none; fields of `spec_json` win, objects are merged field by field.
absl::StatusOr<Spec> DecodeSpec(std::string_view spec_json, std::string_view class_json);
// The name of the spec's class, "" if it has none.
absl::StatusOr<std::string> SpecClass(std::string_view spec_json);
absl::StatusOr<Placement> DecodePlacement(std::string_view json);
absl::StatusOr<Host> DecodeHost(std::string_view json);
std::string EncodeKey(const Key& key);
std::string EncodePlacement(const Placement& placement);
std::string EncodeHost(const Host& host);
absl::StatusOr<Scores> DecodeScores(std::string_view json);
std::string EncodeScores(const Scores& scores);
// The heartbeat of a host's dispatcher: its incarnation.
absl::StatusOr<uint64_t> DecodeHeartbeat(std::string_view json);
std::string EncodeHeartbeat(uint64_t incarnation);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_RECORDS_H_
