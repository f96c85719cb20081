// The messages of the dispatch protocol (docs/protocol.md) and their encoding. Pure functions.
#ifndef FASTCONTAINER_LIB_DISPATCH_MESSAGE_H_
#define FASTCONTAINER_LIB_DISPATCH_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

enum class MessageType : uint8_t {
  kEcho = 1,
  kEchoOk = 2,
  kAcquire = 3,
  kGrant = 4,
  kWait = 5,
  kMoved = 6,
  kFull = 7,
  kFailed = 8,
  kRenew = 9,
  kRelease = 10,
  kRevoke = 11,
  kPrepare = 12,
  kPeerProbe = 13,
  kPeerVerdict = 14,
};

// Questions are padded to this size; an answer is never longer.
inline constexpr size_t kQuestionSize = 640;
inline constexpr size_t kMaxDatagram = 1200;

// What a router says of a host to another one. kNone: nothing yet.
enum class PeerVerdict : uint8_t { kNone = 0, kUp = 1, kDown = 2, kServiceDown = 3, kUnknown = 4 };

struct LoadReport {
  float free_cpu = 0;        // cores
  uint64_t free_memory = 0;  // bytes
  float pressure = 0;        // PSI "some" of CPU over 10 s, percent
  uint32_t running = 0;
  uint32_t starting = 0;
  bool overloaded = false;
  uint32_t ask_every_ms = 0;  // how often this dispatcher wants to be asked; 0: as you like
};

// One struct for all types; each type carries the fields named beside it, the others keep their defaults.
struct Message {
  MessageType type = MessageType::kEcho;
  uint64_t request_id = 0;     // chosen by the asker, repeated in answers; 0 in REVOKE
  std::string container;       // all but ECHO, ECHO_OK
  uint32_t replica = 0;        // with container
  uint64_t epoch = 0;          // with container; MOVED: the newer record's
  uint64_t spec_revision = 0;  // ACQUIRE: the newest that the router knows; 0: none
  // ACQUIRE: the container refused or closed a connection: look after it before granting. REVOKE: it ended by
  // itself, or refuses connections, so what is open there is lost.
  bool suspect = false;
  uint32_t open = 0;      // ACQUIRE, RENEW, RELEASE: open tickets
  uint32_t waiting = 0;   // ACQUIRE, RENEW: requests that wait for a slot
  uint64_t busy_ns = 0;   // RENEW, RELEASE: ticket time since the last one
  uint64_t instance = 0;  // GRANT, RENEW, RELEASE, REVOKE: this run of the container
  Address address;        // GRANT: where it listens
  uint32_t slots = 0;     // GRANT: this router's share of the concurrency; RENEW: what it knows of that
  Nanos lease = 0;        // GRANT: length from the receipt (the router subtracts its question's age)
  Nanos since = 0;        // WAIT: starting for so long
  Nanos eta = 0;          // WAIT: expected to take so long still; 0: unknown
  PeerVerdict verdict = PeerVerdict::kNone;  // PEER_VERDICT
  std::string host;  // PEER_PROBE, PEER_VERDICT: which; MOVED: where the newer record says it is, "" for "not
                     // mine, look it up"
  std::string reason;     // FULL, FAILED, REVOKE: for people; cut to 120 bytes
  Nanos retry_after = 0;  // FULL, FAILED
  bool moved = false;     // REVOKE: because the placement changed
  LoadReport load;        // ECHO_OK, GRANT, WAIT, FULL
};

// Appends the body of `message` (without header and MAC) to `out`.
void EncodeMessage(const Message& message, std::string* out);
// Every malformed body is InvalidArgument; nothing is read past its end. Trailing zero bytes are padding.
absl::StatusOr<Message> DecodeMessage(std::string_view body);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCH_MESSAGE_H_
