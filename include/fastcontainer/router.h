// The proxy's role: key in, endpoint out; relocates when the host is gone.
#ifndef FASTCONTAINER_ROUTER_H_
#define FASTCONTAINER_ROUTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/hooks.h"
#include "fastcontainer/log.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

// The values are those of the C ABI's FC_ codes.
enum class RouteCode : int32_t {
  kOk = 0,
  kPending = 1,
  kInvalid = -1,
  kNotFound = -4,
  kUnknownKey = -5,
  kNoHost = -6,
  kCmdb = -7,
  kStartFailed = -8,
  kQueueFull = -9,
  kTimeout = -10,
  kUnsafe = -11,
  kIsolated = -12,
  kBudget = -13,
  kShutdown = -14,
  kConflict = -15,
  kUnsupported = -17,
  kVeto = -20,
};

struct RouteError {
  RouteCode code = RouteCode::kOk;
  std::string message;
  Nanos retry_after = 0;  // 0: unknown
};

enum class RouteReason : uint32_t { kLease = 1, kAcquired = 2, kStarted = 3, kRelocated = 4, kPlaced = 5 };
enum class LostReason : uint32_t { kHostDown = 1, kService = 2, kContainer = 3 };
enum class Outcome : uint32_t {
  kOk = 0,
  kCancelled = 1,
  kRefused = 2,
  kConnectFailed = 3,
  kClosed = 4,
  kTimeout = 5,
  kStaleConnection = 6,
};

using TicketId = uint64_t;  // slot and generation; 0 names no ticket
using RouteOp = uint64_t;   // 0 names no operation

// One request's route. Views and pointers are valid until the ticket ends.
struct Ticket {
  TicketId id = 0;
  RouteReason reason = RouteReason::kLease;
  uint32_t attempt = 1;
  const sockaddr* address = nullptr;
  socklen_t address_length = 0;
  uint64_t endpoint = 0;  // names this run of the container
  std::string_view container;
  std::string_view host;
  uint64_t epoch = 0;
  Nanos lookup = 0, probe = 0, swap = 0, start = 0, queue = 0;  // phases; 0 where not needed
};

// Plain function pointers: a warm route must not allocate.
using RouteCallback = void (*)(void* user_data, RouteCode code, const Ticket* ticket,
                               const RouteError* error);
// `reason` is a LostReason.
using LostCallback = void (*)(void* user_data, TicketId ticket, uint32_t reason);

struct RouteOptions {
  bool stream = false;  // may be silent for long: see RouterOptions::stream_guard
  Nanos wait = 0;       // 0: the router's
  LostCallback on_lost = nullptr;
  void* lost_user_data = nullptr;  // what on_lost gets, instead of the call's user_data
};

// What has happened to a request, for the decision whether it may be sent again (RFC 9110 section 9.2.2).
struct Attempt {
  Outcome outcome = Outcome::kCancelled;
  bool bytes_written = false;
  bool idempotent = false;
  bool body_held = false;
  bool response_begun = false;
};
// Nothing was written; or idempotent, held whole, and nothing of the response forwarded.
bool SafeToSendAgain(const Attempt& attempt);

struct Placed {
  std::string container, host, from_host;
  uint32_t replica = 0;
  uint64_t epoch = 0;
};
using PlaceCallback = absl::AnyInvocable<void(RouteCode code, const Placed* placed, const RouteError* error)>;

// What must be known of a host that does not answer before its containers are moved. Beside each of them:
// where many hosts are silent at once a witness must answer, and the budget must allow it.
enum class AdmitBy : uint32_t {
  kConfirm = 0,  // no peer reaches it, and `confirm` peers say so; own evidence where there are no peers
  kSolo = 1,     // own evidence, whatever peers there are
  kHeartbeat =
      2,  // its dispatcher's lease in the CMDB has ended; a request waits for that up to its deadline
};

struct RouterOptions {
  std::string name;  // "by" of the records it writes
  std::vector<Address> witnesses;
  // Dispatch addresses of other routers, with ports: asked whether they reach a host that this one does not.
  // One that does stops a relocation; `confirm` of them must agree to it (1, or all that there are).
  std::vector<Address> peers;
  uint32_t confirm = 1;
  AdmitBy admit_by = AdmitBy::kConfirm;
  uint32_t queue_per_container = 1'000;
  uint32_t queue_total = 10'000;
  uint32_t relocations_per_second = 100;
  uint32_t relocation_burst = 1'000;
  bool no_relocation = false;  // never write a placement
  bool paper = false;          // one ICMP packet, no hedge, freshness zero, no PREPARE
  bool scores = true;          // published score tables are read (docs/protocol.md, "Scores")
  bool prepare = true;         // the next host starts a container while its host is only suspected
  Nanos wait = 30 * kSecond;
  Nanos start = 90 * kSecond;
  Nanos freshness = 10 * kMillisecond;
  Nanos guard = 10 * kMillisecond;
  Nanos stream_guard = 1 * kSecond;  // while streams are silent, the guard's interval doubles up to this
  Nanos service_deadline = 100 * kMillisecond;
  Nanos overload_hold = 10 * kSecond;  // a host must be overloaded for so long before a container leaves it
  Nanos overload_move_every = 5 * kSecond;  // and then one leaves at a time
  std::string snapshot;                     // a file for a start without the CMDB; "": none
  Nanos snapshot_every = 300 * kSecond;     // and at the router's end
  uint64_t seed = 1;                        // of `op` ids and jitter
};

struct RouterStats {
  uint64_t routes = 0, warm = 0, acquired = 0, started = 0, relocated = 0, placed = 0;  // tickets, by reason
  uint64_t unknown_key = 0, queue_full = 0, timeouts = 0, failed = 0, cancelled = 0;
  uint64_t probes = 0, verdict_up = 0, verdict_down = 0, verdict_service_down = 0, local_faults = 0;
  uint64_t swaps = 0, swaps_won = 0, swaps_conflict = 0, swaps_unknown = 0, swaps_unavailable = 0;
  uint64_t peer_probes = 0, peer_vetoes = 0;
  uint64_t prepares = 0, relocations = 0, budget_refused = 0, isolated = 0, vetoes = 0, policy_fallbacks = 0;
  // Orders of hosts for a container, by what decided; the built-in policy's by why no score table did.
  uint64_t by_policy = 0, by_scores = 0, scores_missing = 0, scores_old = 0, scores_undecodable = 0;
  uint64_t retries = 0, unsafe = 0, lost_tickets = 0;
  uint64_t bad_mac = 0, replayed = 0, malformed = 0;  // datagrams that were refused
  uint64_t second_key = 0;  // datagrams that were sealed with the second cluster key
  uint64_t open_tickets = 0, waiting = 0, leases = 0, hosts = 0, hosts_down = 0, hosts_overloaded = 0,
           containers = 0, keys = 0;
  // Parts of the cache (hosts, classes, and shards of keys, specs and placements), by state, and the age of
  // the oldest in it.
  uint64_t cache_loading = 0, cache_fresh = 0, cache_stale = 0, cache_last_known_good = 0;
  Nanos cache_stale_age = 0, cache_last_known_good_age = 0;
  uint64_t cache_errors = 0;     // listings that failed
  uint64_t records_refused = 0;  // rubbish that did not replace a good record
  uint64_t snapshots_written = 0, snapshots_failed = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_ROUTER_H_
