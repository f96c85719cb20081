// What the router knows of one container: its records, its lease and older ones, who waits for it, and what
// is being done about it.
#ifndef FASTCONTAINER_LIB_ROUTER_CONTAINER_H_
#define FASTCONTAINER_LIB_ROUTER_CONTAINER_H_

#include <netinet/in.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "lib/router/hosts.h"
#include "lib/router/pool.h"
#include "lib/router/router.h"
#include "lib/router/wait_list.h"

namespace fastcontainer {

// The dispatcher has a Container and a Lease of its own: without a name between them the linker would take
// the one's destructor for the other's.
inline namespace routing {

struct Container;

// One run of a container, as its dispatcher granted it. Lives until its last ticket has ended.
struct alignas(64) Lease {
  // What a warm route and the end of its ticket touch stands in one cache line.
  Container* container = nullptr;
  HostState* host = nullptr;
  uint64_t endpoint = 0;
  uint64_t epoch = 0;
  Nanos expires = 0;
  Nanos last_byte = 0;
  uint32_t slots = 0;
  uint32_t open = 0;
  socklen_t sockaddress_length = 0;
  bool usable = true;   // false: no new tickets
  bool held = false;    // its dispatcher is gone and it still answers: it stays good past its end
  bool used = false;    // a ticket was opened since the last RENEW
  bool listed = false;  // in active_

  uint64_t busy_ns = 0;  // since the last RENEW
  Nanos granted = 0;     // the first time
  Address address;
  sockaddr_in6 sockaddress{};  // or a sockaddr_in
};

struct Waiter {
  RouteOp op = 0;
  Container* container = nullptr;
  std::string key;  // while its container is not known
  RouteCallback callback = nullptr;
  void* user_data = nullptr;
  RouteOptions options;
  uint32_t attempt = 1;
  uint32_t written = 0;  // attempts in which bytes were written
  Nanos created = 0;
  Nanos enqueued = 0;  // this attempt
  Nanos deadline = 0;
  Reactor::TimerId pause = 0;  // it may not be served before
  Waiter* previous = nullptr;  // in its container's list
  Waiter* next = nullptr;
  bool listed = false;
};

// A question to a dispatcher: ACQUIRE, repeated until it is answered for good.
struct Ask {
  uint64_t request = 0;  // 0: none in progress
  HostState* host = nullptr;
  Nanos began = 0;
  Nanos sent = 0;
  int tries = 0;
  bool starting = false;  // WAIT came
  Reactor::TimerId timer = 0;
};

struct Relocation {
  std::string reason;
  HostState* from = nullptr;
  std::string wanted;  // the host that Place() names, "" for the policy's choice
  PlaceCallback placed;
  RouteOp place_op = 0;
  Nanos began = 0;
  Nanos swap_began = 0;
  std::vector<HostState*> candidates;
  std::vector<HostState*> vetoed;
  HostState* chosen = nullptr;
  std::string op;
  Placement next;
  Cmdb::OpId txn = 0;
  Reactor::TimerId timer = 0;
  Reactor::TimerId second_look = 0;  // the end of LookAgain()'s
  bool look_first = false;           // the rounds are used up
  bool looked_again = false;
  bool awaits_heartbeat = false;  // the end of that of `from`
};

struct alignas(64) Container {
  // As in Lease: one cache line serves a warm route.
  Lease* lease = nullptr;
  HostState* host = nullptr;  // of the placement
  WaitList<Waiter> waiting;
  RouteReason reason = RouteReason::kLease;  // how the present route came about, for its tickets
  bool suspect = false;                      // it refused or closed a connection
  bool first_lease_used = false;
  std::string id;
  // Most have one lease at a time, and it stands here: both lines are fetched at once.
  Lease first_lease;

  bool Wanted() const { return !waiting.empty() || !paused.empty(); }
  WaitList<Waiter> paused;  // not to meet the same instance again at once; the next one serves them
  uint64_t hash = 0;
  bool known = false;  // records were read
  Spec spec;
  uint64_t spec_revision = 0;  // 0: there is no spec
  uint64_t class_revision = 0;
  // Of the records' values: after a restore a revision may name another one.
  uint64_t spec_hash = 0, placement_hash = 0;
  std::string bad_spec;
  Placement placement;
  uint64_t placement_revision = 0;  // 0: there is no placement
  uint64_t epoch = 0;
  uint64_t highest_epoch = 0;  // ever seen, also in a tombstone: the next one is above it

  std::vector<Pool<Lease>::Ptr> more_leases;  // beside the first, while older ones have open tickets
  Ask ask;
  std::unique_ptr<Relocation> relocation;
  int rounds = 0;                  // relocations since it last served
  Nanos busy_since = 0;            // every host for it says FULL for a moment; 0: not so
  bool reading = false;            // a linearizable read of its placement is on its way
  uint32_t held = 0;               // by Place(), which waits for a timer
  std::vector<size_t> key_hashes;  // of keys_
  Nanos failed_until = 0;
  RouteError failure;
  std::vector<std::pair<HostState*, Nanos>> full;  // hosts that said FULL, until when
  RouteReason moved = RouteReason::kLease;         // kRelocated or kPlaced until the grant that follows it
  // When its phases began and ended; each ticket is told the part that it waited through.
  Nanos probing = 0;  // its host is being checked before a lease in hand is used; 0: it is not
  Nanos swap_began = 0, swap_ended = 0, ask_began = 0, loaded = 0;
  Nanos wanted_slots = 0;  // when its dispatcher was last told that requests wait for them
};

struct TicketSlot {
  uint32_t generation = 1;
  bool open = false;
  bool stream = false;
  bool told = false;  // that it was lost
  uint32_t attempt = 1;
  uint32_t written = 0;
  Lease* lease = nullptr;
  Nanos created = 0;
  LostCallback on_lost = nullptr;
  void* user_data = nullptr;
};

// Sets of containers are walked in the order of their names: a simulation's seed reproduces its run.
struct ByName {
  bool operator()(const Container* a, const Container* b) const { return a->id < b->id; }
};
using ContainerSet = absl::btree_set<Container*, ByName>;

}  // namespace routing

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_CONTAINER_H_
